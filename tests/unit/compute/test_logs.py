"""Logs that are read while they are written."""

import tracemalloc

from bacalhau.border.order import Order, order_path
from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.logs.read import CHUNK, read_logs
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.models.job.resources import Resources

LINE = b"x" * 1023 + b"\n"


async def test_a_long_log_is_never_in_memory_as_a_whole(tmp_path):
    result = tmp_path / "e-1" / "result"
    result.mkdir(parents=True)
    (result / "stdout").write_bytes(LINE * 16_384)
    (result / "stderr").write_bytes("nö".encode())
    count = 0
    async with crew() as people:
        node = ComputeNode("n-1", tmp_path, None, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        async for _ in read_logs(node, "e-1", tail=True, follow=False):  # what is imported first does not count
            pass
        tracemalloc.start()
        try:
            async for kind, text in read_logs(node, "e-1", tail=False, follow=False):
                count += len(text) if kind == 1 else 0
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (count, kind, text) == (16_384 * 1024, 2, "nö")
    assert peak < 20 * CHUNK


async def test_both_streams_are_read_as_they_came_and_characters_stay_whole(tmp_path):
    result = tmp_path / "e-1" / "result"
    result.mkdir(parents=True)
    text = "nö\n".encode()
    order = Order(order_path(result))
    written = {1: b"", 2: b""}
    for stream, data in ((1, b"a\n"), (2, b"b\n"), (1, text[:2]), (2, b"c"), (1, text[2:]), (2, b"d\n")):
        written[stream] += data
        order.note(stream, len(written[stream]))
    order.close()
    (result / "stdout").write_bytes(written[1])
    (result / "stderr").write_bytes(written[2])
    async with crew() as people:
        node = ComputeNode("n-1", tmp_path, None, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        read = [piece async for piece in read_logs(node, "e-1", tail=False, follow=False)]
        assert [piece async for piece in read_logs(node, "e-1", tail=True, follow=False)] == []
    assert read == [(1, "a\n"), (2, "b\n"), (1, "n"), (2, "c"), (1, "ö\n"), (2, "d\n")]
