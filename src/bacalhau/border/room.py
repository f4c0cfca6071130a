"""The room that downloads leave on a disk.

A server that tells no length can send without end. What it sends is written as it comes, so the disk is looked at
meanwhile, and the work ends before other programs of the machine find it full.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bacalhau.lib.aio import background
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.units import show_bytes

RESERVE = 256 << 20  # bytes that stay free
_SHARE = 20  # of a disk with less room than that: one part in so many of what is free at first stays free
_EVERY = 0.2  # seconds between two looks, in which a fast disk takes less than the reserve


@asynccontextmanager
async def leaving_room(folder: Path, whose: str, hint: str) -> AsyncIterator[None]:
    """Open a block whose work is ended before the disk of `folder` is full.

    Raises StorageFailure, which names `whose` bytes take the disk.
    """
    reserve = min(RESERVE, _free(folder) // _SHARE)
    left = -1

    async def watch() -> None:
        nonlocal left
        while left < 0:
            await asyncio.sleep(_EVERY)
            free = await asyncio.to_thread(_free, folder)
            if free < reserve:
                left = free
                limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as limit, background(watch()):
            yield
    except TimeoutError as e:
        if left < 0:
            raise
        room = f"{show_bytes(left)} are left in {folder}, and {show_bytes(reserve)} stay free"
        raise StorageFailure(f"{whose} would fill the disk: {room}", hint=hint) from e


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
