"""Running something until a signal asks it to end."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import uvloop

from bacalhau.app.collection import short_collections

T = TypeVar("T")

# Database threads give the interpreter away around every statement and must get it back quickly from a busy event loop.
SWITCH_SECONDS = 0.001


async def until_signal(opened: AbstractAsyncContextManager[T], ready: Callable[[T], None]) -> None:
    """Open, tell, wait for SIGINT or SIGTERM, close."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with opened as what, short_collections():
        ready(what)
        await stop.wait()


def run_main(main: Coroutine[Any, Any, T]) -> T:
    """The process's one event loop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return uvloop.run(main)
