"""The parts of this process without which it cannot do its work, and the check of them all.

Anybody may ask, so the parts are checked once a second at most. Where the API has users, the reasons stay in the log.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.machine.fingerprint import ask_plugin
from bacalhau.lib.aio import together
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.wire import Model, always
from bacalhau.orchestrator.core import Orchestrator

CHECK_SECONDS = 5.0
KEEP_SECONDS = 1.0  # for which an answer holds
WITHHELD = "it does not work; the log of this process says why"
log = logging.getLogger(__name__)


class Part(NamedTuple):
    """One part. `ask` returns why it cannot work, "" when it can; it may raise BacalhauError instead."""

    name: str
    ask: Callable[[], Awaitable[str]]


class PartState(Model):
    """`reason` says why a part is not ready."""

    name: str = always(factory=str)
    ready: bool = always(factory=bool)
    reason: str = ""


class ReadyResponse(Model):
    """Every part of this process; it is ready when all of them are."""

    ready: bool = always(factory=bool)
    parts: tuple[PartState, ...] = always(factory=tuple)


class Readiness:
    """The check of all parts. `is_open`: strangers may hear the reasons."""

    def __init__(self, parts: Sequence[Part], *, is_open: bool) -> None:
        self._parts, self._is_open = parts, is_open
        self._turn = asyncio.Lock()
        self._faults: dict[str, str] = {}
        self._until = 0.0

    async def check(self) -> ReadyResponse:
        """Tell which parts are ready. Those who ask at the same moment share one check."""
        async with self._turn:
            if time.monotonic() >= self._until:
                reasons: list[str] = await together(*(_find_fault(part) for part in self._parts))
                self._note({part.name: reason for part, reason in zip(self._parts, reasons, strict=True) if reason})
                self._until = time.monotonic() + KEEP_SECONDS
        parts = [
            PartState(name=part.name, ready=part.name not in self._faults, reason=self._told(part.name))
            for part in self._parts
        ]
        return ReadyResponse(ready=not self._faults, parts=tuple(parts))

    def _told(self, name: str) -> str:
        reason = self._faults.get(name, "")
        return reason if self._is_open or not reason else WITHHELD

    def _note(self, faults: dict[str, str]) -> None:
        """Log each change once."""
        for name, reason in faults.items():
            if self._faults.get(name) != reason:
                log.warning("not ready: %s: %s", name, reason)
        for name in self._faults.keys() - faults.keys():
            log.info("ready again: %s", name)
        self._faults = faults


async def _find_fault(part: Part) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return without_credentials(await part.ask())
    except BacalhauError as e:
        return without_credentials(e.message)
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"


def list_orchestrator_parts(orch: Orchestrator) -> list[Part]:
    """List the parts of an orchestrator: its store can be written, its message server is connected."""

    async def ask_store() -> str:
        await orch.store.check_writable()
        return ""

    async def ask_bus() -> str:
        return orch.bus.trouble

    return [Part("store", ask_store), Part("bus", ask_bus)]


def list_node_parts(node: ComputeNode) -> list[Part]:
    """List the parts of a node: its journal can be written, it has joined, each engine works that is not disabled."""

    async def ask_journal() -> str:
        await node.journal.check_writable()
        return ""

    async def ask_orchestrator() -> str:
        return node.bus.trouble or ("" if node.told else "the node has not joined its orchestrator yet")

    async def ask_engine(name: str) -> str:
        reason, _ = await ask_plugin(node.plugins.engines[name], logging.DEBUG)
        return reason

    engines = [Part(f"engine {name}", partial(ask_engine, name)) for name in sorted(node.plugins.engines)]
    return [Part("journal", ask_journal), Part("orchestrator", ask_orchestrator), *engines]
