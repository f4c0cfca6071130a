"""One thread that takes everything that waits at once, and gives the results back in their order, a few in one step of
the event loop, so that everybody else has a turn before all those who asked go on.

It knows nothing of databases: the same class makes commits share one fsync and reads share one hand-over.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from bacalhau.lib.errors import BacalhauError, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

CLOSE_SECONDS = 30.0
A_STEP = 16  # results given back in one step of the event loop: about 2 ms of work for those who asked


class Worker(Generic[T, R]):
    """`handle` runs on the thread: a list of items in, a result or an expected error for each out.

    When it raises, every item of that batch is tried again alone, so that a bad item fails only itself: it must leave
    nothing of a failed batch behind.
    """

    def __init__(self, name: str, handle: Callable[[list[T]], list[R | BacalhauError]], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[list[T] | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        self._batch: list[tuple[T, asyncio.Future[R]]] = []
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._results: deque[tuple[asyncio.Future[R], R | BaseException]] = deque()
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
            while self._busy or self._results:
                self._idle.clear()
                await self._idle.wait()
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        """Run the thread until it is told to end."""
        while self._serve_batch():
            pass

    def _serve_batch(self) -> bool:
        """Wait for a batch and handle it; return False at the end. Whatever `handle` raises belongs to the callers.

        A call of its own for each batch, so that a thread that waits holds on to no result: one may be large.
        """
        items = self._work.get()
        if items is None:
            return False
        try:
            outcome: list[R | BacalhauError] | BaseException = self._handle(items)
        except Exception as e:
            logger.debug("a batch of %d failed", len(items), exc_info=True)
            outcome = e
        self._loop.call_soon_threadsafe(self._land, outcome)
        return True

    def _pump(self) -> None:
        if self._busy or not self._waiting:
            return
        size = 1 if self._alone else self._limit
        self._alone = max(0, self._alone - 1)
        self._batch, self._waiting = self._waiting[:size], self._waiting[size:]
        self._busy = True
        self._work.put([item for item, _ in self._batch])

    def _land(self, outcome: list[R | BacalhauError] | BaseException) -> None:
        batch, self._batch = self._batch, []
        if isinstance(outcome, list):
            self._give_back([(future, result) for (_, future), result in zip(batch, outcome, strict=True)])
        elif len(batch) == 1:
            self._give_back([(batch[0][1], outcome)])
        else:
            self._waiting[:0] = batch
            self._alone += len(batch)
        self._busy = False
        self._pump()
        self._tell_idle()

    def _give_back(self, results: "list[tuple[asyncio.Future[R], R | BaseException]]") -> None:
        """Give results back behind those that are still to be given back."""
        was_idle = not self._results
        self._results.extend(results)
        if was_idle:
            self._give_some()

    def _give_some(self) -> None:
        for _ in range(min(A_STEP, len(self._results))):
            _settle(*self._results.popleft())
        if self._results:
            self._loop.call_soon(self._give_some)
        else:
            self._tell_idle()

    def _tell_idle(self) -> None:
        if not self._busy and not self._results:
            self._idle.set()


def _settle(future: "asyncio.Future[R]", result: R | BaseException) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
