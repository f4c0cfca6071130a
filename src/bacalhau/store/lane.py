"""One thread that takes everything that waits at once, and gives the results back in one step of the event loop.

It knows nothing of databases: the same class makes commits share one fsync and reads share one hand-over.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from bacalhau.lib.errors import BacalhauError, Unavailable

T = TypeVar("T")
R = TypeVar("R")

CLOSE_SECONDS = 30.0


class Lane(Generic[T, R]):
    """`handle` runs on the thread: a list of items in, a result or an expected error for each out.

    When it raises, every item of that batch is tried again alone, so that a bad item fails only itself: it must leave nothing
    of a failed batch behind.
    """

    def __init__(self, name: str, handle: Callable[[list[T]], list[R | BacalhauError]], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._alone = 0
        self._busy = False
        self._closed = False
        self._idle = asyncio.Event()

    async def ask(self, item: T) -> R:
        """Cancelling the caller does not take back an item that was handed over."""
        if self._closed:
            raise Unavailable("the database is closed", hint="The server is shutting down; try again.")
        future: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((item, future))
        self._pump()
        return await future

    async def aclose(self) -> None:
        """Handles what waits, then ends the thread."""
        self._closed = True
        async with asyncio.timeout(CLOSE_SECONDS):
            while self._busy:
                self._idle.clear()
                await self._idle.wait()
        await asyncio.to_thread(self._thread.shutdown)

    def _pump(self) -> None:
        if self._busy or not self._waiting:
            return
        size = 1 if self._alone else self._limit
        self._alone = max(0, self._alone - 1)
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        self._busy = True
        work = self._thread.submit(self._handle, [item for item, _ in batch])
        work.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._land, batch, done))

    def _land(self, batch: list[tuple[T, asyncio.Future[R]]], done: "Future[list[R | BacalhauError]]") -> None:
        error = done.exception()
        if error is None:
            for (_, future), result in zip(batch, done.result(), strict=True):
                _settle(future, result)
        elif len(batch) == 1:
            _settle(batch[0][1], error)
        else:
            self._waiting[:0] = batch
            self._alone += len(batch)
        self._busy = False
        self._pump()
        if not self._busy:
            self._idle.set()


def _settle(future: "asyncio.Future[R]", result: R | BaseException) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
