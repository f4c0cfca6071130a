"""Logs that are read while they are written."""

import tracemalloc

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
        tracemalloc.start()
        try:
            async for kind, text in read_logs(node, "e-1", tail=False, follow=False):
                count += len(text) if kind == 1 else 0
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (count, kind, text) == (16_384 * 1024, 2, "nö")
    assert peak < 20 * CHUNK
