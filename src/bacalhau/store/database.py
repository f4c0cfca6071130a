"""A database with one writer and several readers, each on a thread of its own, and group commit.

Everything that waits is committed in one fsync; a transaction that conflicts fails alone. Reads go through lanes, each
with a connection and a thread of its own: no read waits for the writer, and none for a read in another lane. What the
statements mean is left to the modules that make them.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar

from bacalhau.lib.errors import BacalhauError, Conflict
from bacalhau.lib.meter import Histogram
from bacalhau.ports.figures import StoreFigures
from bacalhau.store.sqlite import compact, connect, migrate, owned, translated
from bacalhau.store.statement import Params, Row, Statement, Transaction, catalogue
from bacalhau.store.worker import Worker

T = TypeVar("T")

_RETURNING = re.compile(r"\breturning .+$", re.DOTALL)
COMMIT_AT_ONCE = 256  # transactions: bounds how long the first of a batch waits for the last
READ_AT_ONCE = 16
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


Lane = Literal["points", "views", "lists"]
"""Reads whose number of rows is bounded; all that evaluations need of some jobs; everything that may be long."""


class Snapshot:
    """The database as it was at one moment, for reads that take several statements. It belongs to one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = catalogue()

    def rows(self, name: str, params: Params) -> list[Row]:
        return self.rows_of(self._sql[name], params)

    def rows_of(self, sql: str, params: Params) -> list[Row]:
        return self._connection.execute(sql, params).fetchall()


class _Read(NamedTuple):
    """`is_long`: takes several statements, which must see the same moment."""

    make: Callable[[Snapshot], Any]
    is_long: bool


class _Reader:
    """One lane of reads. Its file is opened by the first read."""

    def __init__(self, path: Path, lane: Lane) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        # Short reads share one hand-over; a long one shares its end with nobody.
        self.worker: Worker[_Read, Any] = Worker(f"store-{lane}", self._fetch, READ_AT_ONCE if lane == "points" else 1)

    async def aclose(self) -> None:
        await self.worker.aclose()
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)

    def _fetch(self, batch: list[_Read]) -> list[Any]:
        with translated(self._path):
            if self._connection is None:
                self._connection = connect(self._path)
            return [self._read(self._connection, read) for read in batch]

    def _read(self, connection: sqlite3.Connection, read: _Read) -> Any:
        if not read.is_long:
            return read.make(Snapshot(connection))
        connection.execute("begin")
        try:
            return read.make(Snapshot(connection))
        finally:
            if connection.in_transaction:
                connection.execute("commit")


class Database:
    """`commits` has the seconds that each fsync with its transactions took, and `transactions` counts these."""

    def __init__(self, path: Path, writer: sqlite3.Connection, component: str) -> None:
        self._path = path
        self._writer = writer
        self._component = component
        self._sql = catalogue()
        self._returning = {name for name, text in self._sql.items() if _RETURNING.search(text)}
        self._writes: Worker[Transaction, list[Row]] = Worker("store-write", self._commit, COMMIT_AT_ONCE)
        self._readers: dict[Lane, _Reader] = {}
        self.commits = Histogram(COMMIT_SECONDS)
        self.transactions = 0

    async def apply(self, transaction: Transaction) -> list[Row]:
        """All or nothing, durable on return: the rows of its `returning` statements in order.

        Raises Conflict or Unavailable.
        """
        return await self._writes.ask(transaction) if transaction else []

    async def read(self, name: str, params: Params, make: Callable[[list[Row]], T], lane: Lane = "points") -> T:
        """`make` turns the rows into values on the lane's thread. Sees every change whose `apply` has returned."""
        value: T = await self._ask(lane, _Read(lambda snapshot: make(snapshot.rows(name, params)), False))
        return value

    async def read_whole(self, make: Callable[[Snapshot], T], lane: Lane) -> T:
        """Read with as many statements as `make` runs on the lane's thread; all of them see the same moment."""
        value: T = await self._ask(lane, _Read(make, True))
        return value

    async def _ask(self, lane: Lane, read: _Read) -> Any:
        if lane not in self._readers:
            self._readers[lane] = _Reader(self._path, lane)
        return await self._readers[lane].worker.ask(read)

    async def aclose(self) -> None:
        await self._writes.aclose()
        for reader in self._readers.values():
            await reader.aclose()

    def _commit(self, batch: list[Transaction]) -> list[list[Row] | BacalhauError]:
        """Commit a batch in one fsync. It is tried without savepoints, which would double the number of statements;
        only where a transaction conflicts, all of them are run again, each on its own.
        """
        began = time.perf_counter()
        with translated(self._path):
            try:
                outcomes = self._transact(batch, self._run)
            except Conflict:
                outcomes = self._transact(batch, self._run_apart)
            self.commits.note(time.perf_counter() - began)
            self.transactions += len(batch)
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

    async def check_writable(self) -> None:
        """Write to the disk without changing anything. Raises Unavailable when that cannot be done."""
        await self._database.apply((Statement("put_probe", {}), Statement("drop_probe", {}, rows=1)))

    @property
    def commits(self) -> int:
        """Fsyncs of transactions so far; many changes share one."""
        return self._database.commits.count

    @property
    def figures(self) -> StoreFigures:
        """The commits so far."""
        return StoreFigures(self._database.commits, self._database.transactions)


@asynccontextmanager
async def open_database(path: Path, schema: str, component: str) -> AsyncIterator[Database]:
    """The only user of the file while the block runs; leaving it drains what waits.

    Raises Conflict when another process has it or a newer program wrote it, Unavailable when it cannot be opened.
    """
    with owned(path):
        writer = await asyncio.to_thread(_open, path, schema)
        try:
            database = Database(path, writer, component)
            try:
                yield database
            finally:
                await database.aclose()
        finally:
            await asyncio.to_thread(writer.close)


def _open(path: Path, schema: str) -> sqlite3.Connection:
    writer = connect(path)
    try:
        migrate(writer, schema, path)
        compact(writer, path)
        return writer
    except BacalhauError:
        writer.close()
        raise
