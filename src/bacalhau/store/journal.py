"""A compute node's memory on SQLite, with the same group commit as the orchestrator's store.

A job is stored once, however many executions of it the node has: executions name it by the digest of its
specification, and it leaves with the last of them.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.ports.journal import JournalEntry, PendingReport
from bacalhau.store.database import Housed
from bacalhau.store.statement import Row, Statement

COMPONENT = "NodeJournal"


class NodeJournal(Housed):
    """Implements `ports.journal.Journal` in the database file `path`. Opening raises Conflict or Unavailable."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "journal", COMPONENT)
        self._latest: tuple[Job | None, bytes | None, bytes] = (None, None, b"")

    async def put_execution(self, execution: Execution) -> bool:
        digest, body = self._encode_job(execution.job)
        params = {
            "id": execution.id,
            "body": encode(replace(execution, job=None)),
            "job": digest,
            "now": now_ns(),
        }
        job = {"digest": digest, "body": body, "execution_id": execution.id}
        return bool(
            await self._database.apply((Statement("journal_put_execution", params), Statement("journal_put_job", job)))
        )

    def _encode_job(self, job: Job | None) -> tuple[bytes | None, bytes]:
        """Encode what a job asks for, and its digest. The parts of a large job share one value, encoded once."""
        if job is not self._latest[0]:
            body = b"" if job is None else encode(job.specification)
            self._latest = (job, None if job is None else sha256(body).digest(), body)
        return self._latest[1:]

    async def tombstone(self, execution_id: str) -> bool:
        return bool(
            await self._database.apply((Statement("journal_tombstone", {"id": execution_id, "now": now_ns()}),))
        )

    async def set_state(self, execution_id: str, state: str) -> None:
        await self._database.apply((_set_state(execution_id, state, 1),))

    async def list_executions(self, states: Iterable[str]) -> list[JournalEntry]:
        return await self._database.read("journal_list_executions", {"states": _json(states)}, _read_entries)

    async def count_interruptions(self, states: Iterable[str], by: int) -> None:
        await self._database.apply((Statement("journal_count_interruptions", {"states": _json(states), "by": by}),))

    async def list_ids(self, states: Iterable[str]) -> list[str]:
        return await self._database.read("journal_list_ids", {"states": _json(states)}, _read_ids)

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
        return len(
            await self._database.apply((Statement("journal_prune", params), Statement("journal_prune_jobs", {})))
        )


def _set_state(execution_id: str, state: str, rows: int | None) -> Statement:
    return Statement(
        "journal_set_state", {"id": execution_id, "state": state, "now": now_ns()}, rows, _unknown(execution_id)
    )


def _unknown(execution_id: str) -> str:
    return f"execution {execution_id} is not in the journal"


def _json(texts: Iterable[str]) -> str:
    return encode(list(texts)).decode()


def _read_ids(rows: list[Row]) -> list[str]:
    return [str(row[0]) for row in rows]


def _read_entries(rows: list[Row]) -> list[JournalEntry]:
    jobs: dict[bytes | None, Job] = {}
    entries = []
    for body, state, digest, job, interruptions in rows:
        execution = decode(body, Execution)
        if job is not None:
            jobs[digest] = decode(job, Job)
        if digest is not None:
            execution = replace(execution, job=jobs[digest])
        entries.append(JournalEntry(execution, state, interruptions))
    return entries


def _read_reports(rows: list[Row]) -> list[PendingReport]:
    return [PendingReport(*row) for row in rows]
