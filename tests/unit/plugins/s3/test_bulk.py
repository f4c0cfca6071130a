"""Threads that keep one connection each."""

import asyncio
import socket

import pytest

from bacalhau.border.addresses import Reach
from bacalhau.plugins.s3.bulk import BulkReader, Stretch


def test_a_thread_that_goes_to_another_server_leaves_no_connection_behind():
    lane = BulkReader(60)
    first = lane._connection("http://one.example/bucket/key")
    assert lane._connection("http://one.example/bucket/other") is first
    second = lane._connection("https://two.example/bucket/key")
    assert lane._opened == [second]
    lane.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_that_is_refused_is_not_connected_to(scheme, host, tmp_path):
    lane, path = BulkReader(60), tmp_path / "file"
    path.touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://{host}:{listener.getsockname()[1]}/b/k"
        assert not asyncio.run(lane.receive(Stretch(url, {}, path, 0, 9, Reach()), print))
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    lane.close()
