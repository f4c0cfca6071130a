"""The order of work on received messages: each node has a lane of its own, each key within it keeps its order.

A slow message holds up its own key, a slow node its own lane, and nothing else.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from bacalhau.lib.aio import Crew

T = TypeVar("T")

IN_FLIGHT = 64  # messages of one node with the handler at once
WAITING = 10_000  # more than that are dropped unacknowledged, and so sent again


class _NodeQueue(Generic[T]):
    def __init__(self) -> None:
        self.waiting: deque[tuple[str, T]] = deque()
        self.keys: dict[str, deque[T]] = {}
        self.busy = 0


class NodeQueues(Generic[T]):
    """`work` must not raise."""

    def __init__(self, crew: Crew, work: Callable[[T], Awaitable[None]]) -> None:
        self._crew = crew
        self._work = work
        self._queues: dict[str, _NodeQueue[T]] = {}

    def put(self, node_id: str, key: str, item: T) -> bool:
        """Queue an item behind those of its key; False when the lane is full."""
        queue = self._queues.setdefault(node_id, _NodeQueue())
        if len(queue.waiting) >= WAITING:
            return False
        queue.waiting.append((key, item))
        self._admit(node_id, queue)
        return True

    def _admit(self, node_id: str, queue: _NodeQueue[T]) -> None:
        while queue.waiting and queue.busy < IN_FLIGHT:
            key, item = queue.waiting.popleft()
            queue.busy += 1
            behind = queue.keys.get(key)
            if behind is None:
                queue.keys[key] = deque((item,))
                self._crew.start_in_turn(partial(self._drain, node_id, queue, key))
            else:
                behind.append(item)

    async def _drain(self, node_id: str, queue: _NodeQueue[T], key: str) -> None:
        items = queue.keys[key]
        while items:
            await self._work(items.popleft())
            queue.busy -= 1
            if not items:
                del queue.keys[key]
            self._admit(node_id, queue)
        if not queue.busy:
            self._queues.pop(node_id, None)  # nodes come and go
