"""An error that crosses the wire comes out as the same error."""

import asyncio

import pytest
from nats.aio.msg import Msg

from bacalhau.bus import request
from bacalhau.bus.envelope import pack, stamp
from bacalhau.bus.request import Responder, from_bac_error, read_reply, to_bac_error
from bacalhau.bus.subject import from_node
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import (
    BacalhauError,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    StorageFailure,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import BacError, HeartbeatRequest, HeartbeatResponse

KINDS = [BacalhauError, BadRequest, NotFound, Conflict, Unauthorized, Forbidden, Unavailable, StorageFailure, TimedOut]


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind):
    error = kind("the cause", hint="the cure", retryable=True, component="Room")
    again = from_bac_error(to_bac_error(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.retryable, again.component) == ("the cause", "the cure", True, "Room")


def test_unknown_code_keeps_its_name():
    error = from_bac_error(
        BacError(cause="who are you", code="HandshakeRequired", http_status_code=428, retryable=True)
    )
    assert (error.code, error.status, error.retryable) == ("HandshakeRequired", 428, True)


def test_error_reply_is_raised():
    with pytest.raises(NotFound, match="nothing"):
        read_reply(pack(encode(to_bac_error(NotFound("nothing"))), stamp("BacError", "o", 1)))


def test_unreadable_reply():
    with pytest.raises(Unavailable, match="too short"):
        read_reply(b"")


class Line:
    """A Link that keeps what is published."""

    def __init__(self):
        self.said = asyncio.Queue()

    async def publish(self, subject, data, reply="", headers=None):
        await self.said.put(data)


async def test_a_handler_that_takes_too_long_is_answered_for_and_not_cut_short(monkeypatch):
    monkeypatch.setattr(request, "REQUEST_LIMIT", 0.05)
    line, go_on, ended = Line(), asyncio.Event(), asyncio.Event()

    async def handle(delivery):
        await go_on.wait()
        ended.set()
        return HeartbeatResponse()

    async with crew() as people:
        asked = pack(encode(HeartbeatRequest(node_id="n-1")), stamp("transport.HeartbeatRequest", "n-1", 1))
        Responder(line, people, handle).receive(
            Msg(_client=None, subject=from_node("n-1", "ctrl"), reply="r", data=asked)
        )
        with pytest.raises(TimedOut, match="was not answered"):
            read_reply(await line.said.get())
        go_on.set()
        await ended.wait()
