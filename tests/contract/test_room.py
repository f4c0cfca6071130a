"""Downloads end before the disk is full, whatever a server sends."""

import asyncio
from contextlib import suppress

import pytest

from bacalhau.border.room import leaving_room
from bacalhau.client.results import Fetch, fetch_results
from bacalhau.client.transport import Endpoint
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import ignore
from tests.scenario.test_disk import mounted

SIZE = 64_000_000  # of the disk: what stays free of it is more than the 1 MiB that is written at a time
MOST = SIZE - SIZE // 40


async def test_a_result_without_end_leaves_room_on_the_disk(tmp_path):
    """The server sends as much as it can, and pauses when the disk is nearly full."""

    async def answer(reader, writer):
        with suppress(asyncio.IncompleteReadError, OSError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                if request.startswith(b"HEAD"):
                    writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
                elif b"Range" in request:
                    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    break
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(MOST))
        writer.close()

    with mounted(tmp_path / "disk", SIZE) as folder:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            result = SpecConfig(type="urlDownload", params={"URL": f"{url}/file"})
            with pytest.raises(
                StorageFailure, match=f"the results would fill the disk: .* are left in {folder}"
            ) as told:
                await fetch_results([result], Fetch("j-1", folder, Endpoint(url)), ignore)
    assert "--output-dir" in told.value.hint


async def test_work_that_ends_in_time_and_its_own_failures_pass(tmp_path):
    async with leaving_room(tmp_path, "the results", ""):
        pass
    with pytest.raises(TimeoutError, match="its own"):
        async with leaving_room(tmp_path, "the results", ""):
            raise TimeoutError("its own")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), leaving_room(tmp_path, "the results", ""):
            await asyncio.Event().wait()


async def test_a_disk_that_cannot_be_looked_at_ends_the_work(tmp_path):
    """Nobody would know that it fills."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with pytest.raises(FileNotFoundError):
        async with leaving_room(folder, "the results", ""):
            folder.rmdir()
            await asyncio.Event().wait()
