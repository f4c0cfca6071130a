"""In what order received messages are worked on: each node has a lane of its own, each key within it keeps its order.

A slow message holds up its own key, a slow node its own lane, and nothing else.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bacalhau.lib.aio import Crew

T = TypeVar("T")

IN_FLIGHT = 64  # messages of one node with the handler at once
WAITING = 10_000  # more than that are dropped unacknowledged, and so sent again


class _Lane(Generic[T]):
    def __init__(self) -> None:
        self.waiting: deque[tuple[str, T]] = deque()
        self.keys: dict[str, deque[T]] = {}
        self.busy = 0


class Lanes(Generic[T]):
    """`work` must not raise."""

    def __init__(self, crew: Crew, work: Callable[[T], Awaitable[None]]) -> None:
        self._crew = crew
        self._work = work
        self._lanes: dict[str, _Lane[T]] = {}

    def put(self, node_id: str, key: str, item: T) -> bool:
        """Queue an item behind those of its key; False when the lane is full."""
        lane = self._lanes.setdefault(node_id, _Lane())
        if len(lane.waiting) >= WAITING:
            return False
        lane.waiting.append((key, item))
        self._admit(node_id, lane)
        return True

    def _admit(self, node_id: str, lane: _Lane[T]) -> None:
        while lane.waiting and lane.busy < IN_FLIGHT:
            key, item = lane.waiting.popleft()
            lane.busy += 1
            behind = lane.keys.get(key)
            if behind is None:
                lane.keys[key] = deque((item,))
                self._crew.start(self._drain(node_id, lane, key))
            else:
                behind.append(item)

    async def _drain(self, node_id: str, lane: _Lane[T], key: str) -> None:
        items = lane.keys[key]
        while items:
            await self._work(items.popleft())
            lane.busy -= 1
            if not items:
                del lane.keys[key]
            self._admit(node_id, lane)
        if not lane.busy:
            self._lanes.pop(node_id, None)  # nodes come and go
