"""A compute node's memory on SQLite, with the same group commit as the orchestrator's store."""

from collections.abc import Iterable
from pathlib import Path

from bacalhau.lib.clock import now_ns
from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.ports.journal import JournalEntry, PendingReport
from bacalhau.store.database import Housed
from bacalhau.store.statement import Row, Statement

COMPONENT = "NodeJournal"


class NodeJournal(Housed):
    """Implements `ports.journal.Journal` in the database file `path`. Opening raises Conflict or Unavailable."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "journal", COMPONENT)

    async def put_execution(self, execution: Execution) -> bool:
        params = {"id": execution.id, "body": encode(execution), "now": now_ns()}
        return bool(await self._database.apply((Statement("journal_put_execution", params),)))

    async def tombstone(self, execution_id: str) -> bool:
        return bool(
            await self._database.apply((Statement("journal_tombstone", {"id": execution_id, "now": now_ns()}),))
        )

    async def set_state(self, execution_id: str, state: str) -> None:
        await self._database.apply((_set_state(execution_id, state, 1),))

    async def list_executions(self, states: Iterable[str]) -> list[JournalEntry]:
        return await self._database.read("journal_list_executions", {"states": _json(states)}, _read_entries)

    async def put_report(self, execution_id: str, state: str, type: str, body: bytes) -> int:
        report = Statement("journal_put_report", {"execution_id": execution_id, "type": type, "body": body})
        rows = await self._database.apply((_set_state(execution_id, state, None), report) if state else (report,))
        return int(rows[0][0])

    async def list_reports(self, after: int, limit: int) -> list[PendingReport]:
        return await self._database.read("journal_list_reports", {"after": after, "limit": limit or -1}, _read_reports)

    async def drop_reports(self, seqs: Iterable[int]) -> None:
        await self._database.apply((Statement("journal_delete_reports", {"seqs": encode(list(seqs)).decode()}),))

    async def prune(self, states: Iterable[str], before: int, keep: int) -> int:
        params = {"states": _json(states), "before": before, "keep": keep}
        return len(await self._database.apply((Statement("journal_prune", params),)))


def _set_state(execution_id: str, state: str, rows: int | None) -> Statement:
    return Statement(
        "journal_set_state", {"id": execution_id, "state": state, "now": now_ns()}, rows, _unknown(execution_id)
    )


def _unknown(execution_id: str) -> str:
    return f"execution {execution_id} is not in the journal"


def _json(texts: Iterable[str]) -> str:
    return encode(list(texts)).decode()


def _read_entries(rows: list[Row]) -> list[JournalEntry]:
    return [JournalEntry(decode(body, Execution), state) for body, state in rows]


def _read_reports(rows: list[Row]) -> list[PendingReport]:
    return [PendingReport(*row) for row in rows]
