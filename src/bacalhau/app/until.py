"""Running something until a signal asks it to end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

# Requests leave few cycles behind; the default looks for them every 700 objects.
GC_THRESHOLDS = (20_000, 20, 20)

# Database threads give the interpreter away around every statement and must get it back quickly from a busy event loop.
SWITCH_SECONDS = 0.001


async def until_signal(opened: AbstractAsyncContextManager[T], ready: Callable[[T], None]) -> None:
    """Open, tell, wait for SIGINT or SIGTERM, close."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with opened as what:
        gc.collect()
        gc.freeze()  # what start-up made stays: it need not be looked through again and again
        gc.set_threshold(*GC_THRESHOLDS)
        ready(what)
        await stop.wait()


def run_main(main: Coroutine[Any, Any, T]) -> T:
    """The process's one event loop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return uvloop.run(main)
