"""The peculiarities of SQLite: opening a file, bringing its schema up to date, and its errors in our words."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, Unavailable

OLDEST = (3, 37)  # upserts, window functions, `returning`, json_each
STATEMENTS = 256  # prepared statements kept by a connection: more than there are
PRAGMAS = (
    "pragma journal_mode = wal",
    "pragma synchronous = full",
    "pragma busy_timeout = 5000",
    "pragma temp_store = memory",
    "pragma cache_size = -4096",  # KiB for each connection; the system keeps the file in memory as well
    "pragma journal_size_limit = 67108864",  # bytes the WAL shrinks back to
)
LARGE = 64 << 20  # bytes that are free in a file, before it is worth writing it anew
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
CURES = {
    sqlite3.SQLITE_FULL: "Free space on its disk; the server goes on by itself.",
    sqlite3.SQLITE_IOERR: "Check its disk: is it full, mounted and writable? The server goes on by itself.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable for this user.",
    sqlite3.SQLITE_CANTOPEN: "Make the file and its folder readable and writable for this user.",
    sqlite3.SQLITE_BUSY: "Another program holds the file; end it.",
    sqlite3.SQLITE_NOMEM: "The machine is out of memory.",
    sqlite3.SQLITE_CORRUPT: (
        "The file is damaged: bring it back from a copy, or give the server another data directory."
    ),
    sqlite3.SQLITE_NOTADB: "The file is not a database: give the server another data directory.",
}


log = logging.getLogger(__name__)


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Keep other processes away from the database; the operating system gives it free when this process dies."""
    lock = path.with_name(path.name + ".lock")
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            owner = os.read(handle, 32).decode("ascii", "replace").strip()
            raise Conflict(
                f"another server uses this data directory: {path.parent}" + (f" (process {owner})" if owner else ""),
                hint="Stop that server, or give this one a data directory of its own (--data-dir).",
            ) from e
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from the one thread that is given it."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise Unavailable(
            f"this Python has SQLite {sqlite3.sqlite_version}",
            hint=f"Use one with SQLite {'.'.join(map(str, OLDEST))} or newer.",
            retryable=False,
        )
    with translated(path):
        # Secrets live in it, and SQLite gives its side files the modes of the main one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS)
        try:
            for pragma in PRAGMAS:
                connection.execute(pragma)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def migrate(connection: sqlite3.Connection, schema: str, path: Path) -> None:
    """Apply what is missing of `sql/schema/<schema>/NNNN_*.sql` in order, each in a transaction; refuse a newer
    database.
    """
    steps = _steps(schema)
    with translated(path):
        connection.execute(
            "create table if not exists schema_versions (version integer primary key, name text not null, applied_at"
            " integer not null)"
        )
        done: int = connection.execute("select coalesce(max(version), 0) from schema_versions").fetchone()[0]
    if done > max(steps):
        raise Conflict(
            f"{path} was written by a newer version of this program (schema {done}, known here: {max(steps)})",
            hint="Upgrade this server, or give it another data directory (--data-dir).",
        )
    for version in sorted(v for v in steps if v > done):
        name, text = steps[version]
        with translated(path):
            _migrate_step(connection, version, name, text)


def compact(connection: sqlite3.Connection, path: Path) -> bool:
    """Give free pages back to the disk when they are many and more than half: retention became stricter, or a flood is
    over.

    Otherwise they stay, for new rows. Where the disk has no room for that, the file stays as it is.
    """
    with translated(path):
        size, pages, free = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        if free * size < LARGE or free * 2 < pages:
            return False
        try:
            connection.execute("vacuum")
        except sqlite3.OperationalError as e:
            log.warning("%s: %d free bytes stay in the file: %s", path, free * size, e)
            return False
    return True


def _steps(schema: str) -> dict[int, tuple[str, str]]:
    folder = resources.files("bacalhau.store").joinpath("sql", "schema", schema)
    return {
        int(file.name[:4]): (file.name, file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }


def _migrate_step(connection: sqlite3.Connection, version: int, name: str, text: str) -> None:
    connection.execute("begin immediate")
    try:
        for statement in split_script(text):
            connection.execute(statement)
        connection.execute(
            "insert into schema_versions (version, name, applied_at) values (?, ?, ?)", (version, name, now_ns())
        )
        connection.execute("commit")
    except sqlite3.Error:
        connection.execute("rollback")
        raise


def split_script(text: str) -> Iterator[str]:
    """Single statements of a script; `executescript` would commit between them."""
    part = ""
    for line in text.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """The one place where errors of SQLite and of the file system become ours; the root cause is the first
    thing said.
    """
    try:
        yield
    except OSError as e:
        raise Unavailable(
            f"{e.strerror or e}: {path}", hint="Check the data directory: does it exist, and may this user write to it?"
        ) from e
    except sqlite3.DatabaseError as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code not in CURES:  # a fault of ours, not of the world
            raise
        raise Unavailable(f"{e}: {path}", hint=CURES[code], retryable=code not in DAMAGED) from e
