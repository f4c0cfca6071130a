"""A database with one writer and one reader, each on a thread of its own, and group commit.

Everything that waits is committed in one fsync; a transaction that conflicts fails alone. What the statements mean is
left to the modules that make them.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from bacalhau.lib.errors import BacalhauError, Conflict
from bacalhau.store.sqlite import compact, connect, migrate, owned, translated
from bacalhau.store.statement import Params, Row, Transaction, catalogue
from bacalhau.store.worker import Worker

T = TypeVar("T")

_RETURNING = re.compile(r"\breturning [\w, ]+$")
COMMIT_AT_ONCE = 256  # transactions: bounds how long the first of a batch waits for the last
READ_AT_ONCE = 16


class _Read(NamedTuple):
    sql: str
    params: Params
    make: Callable[[list[Row]], Any]


class Database:
    """`commits` counts the fsyncs of transactions so far."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, component: str) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._component = component
        self._sql = catalogue()
        self._returning = {name for name, text in self._sql.items() if _RETURNING.search(text)}
        self._writes: Worker[Transaction, list[Row]] = Worker("store-write", self._commit, COMMIT_AT_ONCE)
        self._reads: Worker[_Read, Any] = Worker("store-read", self._fetch, READ_AT_ONCE)
        self.commits = 0

    async def apply(self, transaction: Transaction) -> list[Row]:
        """All or nothing, durable on return: the rows of its `returning` statements in order.

        Raises Conflict or Unavailable.
        """
        return await self._writes.ask(transaction) if transaction else []

    async def read(self, name: str, params: Params, make: Callable[[list[Row]], T]) -> T:
        """`make` turns the rows into values on the reader's thread. Sees every change whose `apply` has returned."""
        return await self.read_text(self._sql[name], params, make)

    async def read_text(self, sql: str, params: Params, make: Callable[[list[Row]], T]) -> T:
        value: T = await self._reads.ask(_Read(sql, params, make))
        return value

    async def aclose(self) -> None:
        await self._writes.aclose()
        await self._reads.aclose()

    def _fetch(self, batch: list[_Read]) -> list[Any]:
        with translated(self._path):
            return [read.make(self._reader.execute(read.sql, read.params).fetchall()) for read in batch]

    def _commit(self, batch: list[Transaction]) -> list[list[Row] | BacalhauError]:
        """Commit a batch in one fsync. It is tried without savepoints, which would double the number of statements;
        only where a transaction conflicts, all of them are run again, each on its own.
        """
        with translated(self._path):
            try:
                outcomes = self._transact(batch, self._run)
            except Conflict:
                outcomes = self._transact(batch, self._run_apart)
            self.commits += 1
            return outcomes

    def _transact(
        self, batch: list[Transaction], run: Callable[[sqlite3.Cursor, Transaction], list[Row] | BacalhauError]
    ) -> list[list[Row] | BacalhauError]:
        cursor = self._writer.cursor()
        cursor.execute("begin immediate")
        try:
            outcomes = [run(cursor, transaction) for transaction in batch]
            cursor.execute("commit")
        finally:
            # SQLite ends the transaction itself after some errors, a full disk among them.
            if self._writer.in_transaction:
                cursor.execute("rollback")
        return outcomes

    def _run_apart(self, cursor: sqlite3.Cursor, transaction: Transaction) -> list[Row] | BacalhauError:
        cursor.execute("savepoint one")
        try:
            return self._run(cursor, transaction)
        except Conflict as e:
            cursor.execute("rollback to one")
            return e
        finally:
            if self._writer.in_transaction:
                cursor.execute("release one")

    def _run(self, cursor: sqlite3.Cursor, transaction: Transaction) -> list[Row]:
        returned: list[Row] = []
        for name, params, rows, conflict in transaction:
            try:
                cursor.execute(self._sql[name], params)
            except sqlite3.IntegrityError as e:
                raise Conflict(conflict or str(e), component=self._component) from e
            if name in self._returning:
                returned += cursor.fetchall()
            elif rows is not None and cursor.rowcount != rows:
                raise Conflict(conflict, component=self._component)
        return returned


class Housed:
    """A store in a database file of its own. `async with` opens the file, makes it if it is missing, and at the end
    completes what waits.
    """

    def __init__(self, path: Path, schema: str, component: str) -> None:
        self._opening = open_database(path, schema, component)
        self._database: Database

    async def __aenter__(self) -> Self:
        self._database = await self._opening.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opening.__aexit__(kind, error, trace)

    @property
    def commits(self) -> int:
        """Fsyncs of transactions so far; many changes share one."""
        return self._database.commits


@asynccontextmanager
async def open_database(path: Path, schema: str, component: str) -> AsyncIterator[Database]:
    """The only user of the file while the block runs; leaving it drains what waits.

    Raises Conflict when another process has it or a newer program wrote it, Unavailable when it cannot be opened.
    """
    with owned(path):
        writer, reader = await asyncio.to_thread(_open, path, schema)
        try:
            database = Database(path, writer, reader, component)
            try:
                yield database
            finally:
                await database.aclose()
        finally:
            await asyncio.to_thread(_close, writer, reader)


def _open(path: Path, schema: str) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    writer = connect(path)
    try:
        migrate(writer, schema, path)
        compact(writer, path)
        return writer, connect(path)
    except BacalhauError:
        writer.close()
        raise


def _close(writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
    reader.close()
    writer.close()
