"""The inputs that a node brings into its cache before their executions begin, and when it has time for that."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from bacalhau.lib.aio import Signal


class Prefetches:
    """The prefetches of a node; `tasks` are those that the orchestrator named last, also those that have ended.

    One of them goes on at a time, which holds `turn`, and it gives way to executions that stage their inputs.
    """

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.turn = asyncio.Lock()
        self._staging = 0
        self._quiet = Signal()

    @contextmanager
    def staging(self) -> Iterator[None]:
        """Hold prefetches up while the block brings the inputs of an execution."""
        self._staging += 1
        try:
            yield
        finally:
            self._staging -= 1
            self._quiet.fire()

    async def give_way(self) -> None:
        """Wait until no execution stages its inputs."""
        while self._staging:
            await self._quiet.wait(60)
