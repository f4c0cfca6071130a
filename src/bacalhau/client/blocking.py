"""A loop in a thread of its own, on which a client without `await` has its asynchronous client work.

So it works in scripts and in notebooks, whose own loop is running already, and several threads may use one client. In
asynchronous code `AsyncClient` is better: a verb of this one stops the caller's loop until it has its answer. A client
belongs to the process that opened it; a process that was forked opens its own.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from bacalhau.client.conversation import Conversation
from bacalhau.client.unawaited import Unawaited

T = TypeVar("T")


class Blocking:
    """A client whose verbs return when they have their answer.

    Functions that a verb calls back (`on_event`, `on_away`, `report`) run in the client's own thread, and cannot use
    the client.
    """

    _client: Conversation

    def __init__(self, client: Conversation) -> None:
        self._client = client
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bacalhau-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the client; what other threads asked for ends. A second call does nothing, and neither does one in a
        process that was forked.

        Examples:
            >>> client = Client(url)
            >>> client.close()
            >>> client.close()
        """
        if self._fault():
            return
        self._run(_cancel_others())
        self._run(self._client.aclose())
        self._run(self._loop.shutdown_asyncgens())
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _fault(self) -> str:
        """Say why the client cannot be used; "" when it can."""
        if self._process != os.getpid():
            return "the client was opened by another process: open one in each process"
        return "the client is closed: open another one" if self._loop.is_closed() else ""

    def _run(self, work: Awaitable[T]) -> T:
        """Run the work on the loop and return its result. Raises RuntimeError where the client cannot be used."""
        fault = self._fault()
        if threading.current_thread() is self._thread:
            fault = "a function that the client calls cannot use the client: use it afterwards, or use AsyncClient"
        unawaited = Unawaited(work)
        if fault:
            unawaited.drop()
            raise RuntimeError(fault)
        return unawaited.run(self._loop)

    def _each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yield the items one by one; closing the iterator ends their request."""
        try:
            while (item := self._run(anext(items, None))) is not None:
                yield item
        finally:
            if not self._fault() and threading.current_thread() is not self._thread:
                self._run(items.aclose())


async def _cancel_others() -> None:
    """Cancel what runs on the loop, and wait until it has ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
