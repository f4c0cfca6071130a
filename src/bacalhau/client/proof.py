"""Compares results on the user's disk with what their executions wrote, file by file."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Any

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.hashing import hash_file
from bacalhau.lib.ids import short_id
from bacalhau.lib.tree import walk
from bacalhau.models.execution.proof import path_text
from bacalhau.models.wire.api import ListProvenanceResponse, ProvenFile

NAMED = 20  # files of one error
AskPage = Callable[[str, int], Coroutine[Any, Any, ListProvenanceResponse]]
"""Asks for a page, from 1 on, of what an execution wrote."""

log = logging.getLogger(__name__)


async def verify_result(ask: AskPage, execution_id: str, tree: Path, only: str = "") -> None:
    """Compare a result below `tree`, or the part `only` of one, with what its execution wrote. Files that are not right
    are removed, so that the next attempt fetches them again. Raises StorageFailure that names them. A result whose
    proof cannot be read is left as it is.
    """
    check = _Check(tree, only.strip("/"), await asyncio.to_thread(_list_local, tree))
    try:
        async for files in _read_written(ask, execution_id):
            await asyncio.to_thread(check.compare, files)
    except _NoProof as e:
        log.warning("result of execution %s is not compared with what was written: %s", execution_id, e)
        return
    await asyncio.to_thread(check.name_others)
    if check.count:
        more = check.count - len(check.faults)
        raise StorageFailure(
            f"the result is not what execution {short_id(execution_id)} wrote: {check.count} of its files differ:"
            f" {', '.join(check.faults)}{f' and {more} more' if more else ''}",
            hint="run the command again; if it stays so, the result was changed where it is kept",
        )


class _NoProof(Exception):
    """There is no proof that can be read."""


async def _read_written(ask: AskPage, execution_id: str) -> AsyncIterator[Sequence[ProvenFile]]:
    """Yield what an execution wrote, page by page."""
    page, pages = 1, 1
    while page <= pages:
        answer = await ask(execution_id, page)
        if not answer.items or answer.items[0].missing:
            raise _NoProof(answer.items[0].missing if answer.items else "the server tells nothing of it")
        yield answer.items[0].outputs
        page, pages = page + 1, answer.pages


class _Check:
    """A comparison under way. `rest` are the files on the disk that were not compared yet, by name as it is written."""

    def __init__(self, tree: Path, only: str, rest: dict[str, str]) -> None:
        self._tree, self._only, self._rest = tree, only, rest
        self.faults: list[str] = []
        self.count = 0

    def compare(self, files: Sequence[ProvenFile]) -> None:
        for file in files:
            if self._only and file.path != self._only and not file.path.startswith(self._only + "/"):
                continue
            name = self._rest.pop(file.path, None)
            if name is None:
                self._note(file.path, "is missing")
                continue
            path = self._tree / name
            if path.stat().st_size != file.size or hash_file(path).hex() != file.sha256:
                self._note(file.path, "is another one")
                path.unlink()

    def name_others(self) -> None:
        """Note the files that were not written."""
        for shown, name in self._rest.items():
            self._note(shown, "was not written")
            (self._tree / name).unlink()

    def _note(self, name: str, what: str) -> None:
        self.count += 1
        if len(self.faults) < NAMED:
            self.faults.append(f"{shorten(name)!r} {what}")


def _list_local(tree: Path) -> dict[str, str]:
    return {path_text(name): name for name, status in walk(tree) if S_ISREG(status.st_mode)}
