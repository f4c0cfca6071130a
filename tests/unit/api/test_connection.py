"""A client's connection: what is written at one go leaves in one piece, in order; nothing is lost when it closes."""

import asyncio

import pytest

from bacalhau.api.http.connection import MAX_HELD, Joined

pytestmark = pytest.mark.anyio


class Pieces(asyncio.Transport):
    """A transport that notes its pieces."""

    def __init__(self):
        super().__init__()
        self.pieces = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.pieces.append(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


async def turn():
    """One turn of the event loop."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


def joined():
    pieces = Pieces()
    return pieces, Joined(pieces, asyncio.get_running_loop())


async def test_head_and_body_leave_in_one_piece():
    pieces, transport = joined()
    transport.write(b"head ")
    transport.write(b"body")
    assert pieces.pieces == []
    await turn()
    assert pieces.pieces == [b"head body"]
    transport.write(b"next")
    await turn()
    assert pieces.pieces == [b"head body", b"next"]


async def test_much_does_not_wait_so_that_the_transport_can_slow_its_writer_down():
    pieces, transport = joined()
    transport.write(b"head ")
    transport.write(b"x" * MAX_HELD)
    assert pieces.pieces == [b"head " + b"x" * MAX_HELD]
    await turn()
    assert len(pieces.pieces) == 1


async def test_closing_sends_what_is_held_and_nothing_after_it():
    pieces, transport = joined()
    transport.write(b"last")
    transport.close()
    await turn()
    assert (pieces.pieces, pieces.closed) == ([b"last"], True)


async def test_what_the_client_no_longer_takes_is_dropped():
    pieces, transport = joined()
    transport.write(b"late")
    pieces.closed = True
    await turn()
    assert pieces.pieces == []
