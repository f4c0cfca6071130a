"""When containers end: from the daemon's `die` events, which come before it takes a container's network down and
answers `wait` (some 80 ms earlier on a bridge), with `wait` beside them because events may be missed.
"""

import asyncio
import logging
from typing import Any

from bacalhau.lib.aio import Crew
from bacalhau.lib.errors import BacalhauError
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import EXECUTOR_LABEL

_FILTERS = {"type": ["container"], "event": ["die", "kill"], "label": [EXECUTOR_LABEL]}
# The signal by which `docker stop` begins, and a daemon that stops; a bare kill is an end like any other
_ASKED_TO_END = "15"
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Endings:
    """One event stream for all containers, opened with the first of them."""

    def __init__(self, api: DockerApi, crew: Crew) -> None:
        self._api = api
        self._crew = crew
        self._expected: dict[str, asyncio.Future[int]] = {}
        self._stopped: set[str] = set()
        self._following = False
        self._streams = 0  # event streams that were opened so far
        self._stream = 0  # number of the open one, 0 while there is none
        self._heard_from: dict[str, int] = {}

    def expect(self, container_id: str) -> None:
        """Call before the start: from now on the ending is kept for `exit_code`."""
        self._expected[container_id] = asyncio.get_running_loop().create_future()
        self._heard_from[container_id] = self._stream
        if not self._following:
            self._following = True
            self._crew.start(self._follow_forever())

    async def exit_code(self, container_id: str) -> int:
        """Return the code of an expected, started container once it has ended. Raises Unavailable when the daemon is
        lost meanwhile.
        """
        ending = self._expected[container_id]
        waiting = self._crew.start(self._wait(container_id, ending))
        try:
            return await ending
        finally:
            waiting.cancel()

    def was_stopped(self, container_id: str) -> bool:
        """Tell whether the daemon said of an expected container that it did not end by itself."""
        return container_id in self._stopped

    def has_doubt(self, container_id: str) -> bool:
        """Tell whether connections to the daemon may have been lost since the container was expected.

        An output stream that was cut off ends like a whole one. The event stream, which goes the same way and never
        ends by itself, tells them apart.
        """
        return not self._stream or self._heard_from[container_id] != self._stream

    def forget(self, container_id: str) -> None:
        self._stopped.discard(container_id)
        self._heard_from.pop(container_id, None)
        self._expected.pop(container_id, None)

    async def _wait(self, container_id: str, ending: "asyncio.Future[int]") -> None:
        try:
            code = await self._api.wait(container_id)
        except BacalhauError as e:
            if not ending.done():
                ending.set_exception(e)
            return
        if not ending.done():
            ending.set_result(code)

    async def _follow_forever(self) -> None:
        while True:
            try:
                async with self._api.events(_FILTERS) as events:
                    self._streams += 1
                    self._stream = self._streams
                    async for event in events:
                        self._on_event(event)
            except BacalhauError as e:
                log.debug("event stream lost: %s", e.message)
            finally:
                self._stream = 0
            await asyncio.sleep(RETRY_SECONDS)

    def _on_event(self, event: dict[str, Any]) -> None:
        actor = event.get("Actor") or {}
        container_id, told = str(actor.get("ID", "")), actor.get("Attributes") or {}
        ending, code = self._expected.get(container_id), told.get("exitCode")
        if ending is not None and told.get("signal") == _ASKED_TO_END:
            self._stopped.add(container_id)
        if ending is not None and not ending.done() and code is not None:
            ending.set_result(int(code))
