"""The policy for Python's garbage collection in a process that serves.

Nearly everything is freed without it, because little here refers to itself in a circle: among the objects of 10,000
jobs it found four. So it must not cost much. What start-up made is never looked through again. Objects are looked
through in small portions while they are young. All of them together, which takes the longer the more jobs there are,
are looked through when the process has little else to do; under load only after so many portions that circles could
fill the memory.

Then the memory that became free goes back to the system, too. By itself the C library keeps all that lies between
things still in use: after a large job that may be most of the memory.
"""

import asyncio
import ctypes
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bacalhau.lib.aio import background

YOUNG = 5_000  # objects of a portion
MIDDLE = 5  # portions after which what is left of them is looked through once more
OLD = 100  # such times after which everything is looked through, whatever the load
WORTH = 10  # such times after which it is worth while when there is little to do
IDLE = 0.2  # of one processor core: less is little to do
PERIOD = 10.0  # seconds over which that is measured


@asynccontextmanager
async def short_collections(period: float = PERIOD) -> AsyncIterator[None]:
    """Collect garbage in short steps while the block runs. It begins when the process has started."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    try:
        async with background(_collect_when_idle(period)):
            yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _collect_when_idle(period: float) -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only the GNU C library has it
    while True:
        began, used = time.monotonic(), time.process_time()
        await asyncio.sleep(period)
        is_idle = time.process_time() - used < IDLE * (time.monotonic() - began)
        if not is_idle:
            continue
        if gc.get_count()[2] >= WORTH:
            gc.collect()
        if trim is not None:
            trim(0)
