"""Work of an event loop, run for a thread that is none of the loop's."""

import asyncio
import threading
from collections.abc import Awaitable, Coroutine
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from bacalhau.lib.errors import with_hint

T = TypeVar("T")


class _Caught:
    """A block that ends with any error, and keeps it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


class Unawaited(Generic[T]):
    """Work that a thread waits for while a loop in another thread does it.

    Ctrl-C interrupts the waiting thread, not the loop: the work is cancelled then, and has ended before the interrupt
    goes on, so that nothing that the work holds is still in use.
    """

    def __init__(self, work: Awaitable[T]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._ended = threading.Event()
        self._value: T | None = None
        self._caught = _Caught()

    def drop(self) -> None:
        """Give up work that was never begun."""
        if isinstance(self._work, Coroutine):
            self._work.close()

    def run(self, loop: asyncio.AbstractEventLoop) -> T:
        """Do the work on the loop and return its result, or raise its error. Raises RuntimeError when the client was
        closed meanwhile.
        """
        try:
            loop.call_soon_threadsafe(self._start, loop)
            self._ended.wait()
        except BaseException:
            loop.call_soon_threadsafe(self._cancel)
            self._ended.wait()
            raise
        error = self._caught.error
        if isinstance(error, asyncio.CancelledError):
            raise RuntimeError("the client was closed while it waited for an answer") from error
        if error is not None:
            raise with_hint(error)
        return cast(T, self._value)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._keep())
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self._end(None)

    def _end(self, _: Any) -> None:
        self.drop()
        self._ended.set()

    async def _keep(self) -> None:
        """Keep result or error for the waiting thread: one that a callback raises must not end the loop."""
        with self._caught:
            self._value = await self._work
