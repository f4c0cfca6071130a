"""Objects of inputs while they are listed: sorted, checked and shared out by a database of their own, which lies in a
temporary file as far as it is large. So a million objects take some megabytes of memory.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from bacalhau.border.names import shorten
from bacalhau.lib.balance import share_out
from bacalhau.lib.errors import StorageFailure, Unavailable
from bacalhau.models.job.inventory import (
    FIRST_KEYS,
    FIRST_SHARES,
    InputSummary,
    Row,
    Share,
    Shares,
    cut_pages,
    name_group,
    weigh,
)
from bacalhau.ports.store import DraftPage

T = TypeVar("T")
_CACHE_KIB = 8192
_SCHEMA = """
create table object (
  input integer, key text, path text, size integer, etag text, version text, checksum text, mark text, part integer,
  primary key (input, key)
) without rowid;
create table folder (input integer, path text, primary key (input, path)) without rowid;
create table share (name text primary key, part integer) without rowid;
"""


class Draft:
    """Implements `ports.store.InventoryDraft`. All work is done by the one thread that is given."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._database: sqlite3.Connection
        self._last_folder = (-1, "")
        self._counts = Counter[int]()

    async def add(self, index: int, rows: Sequence[Row], marks: Sequence[str]) -> int:
        return await self._off_loop(self._add, index, rows, marks)

    async def share(self, index: int, by: str, count: int) -> InputSummary:
        return await self._off_loop(self._share, index, by, count)

    async def summarize(self, inputs: Sequence[InputSummary], count: int) -> Shares | None:
        return await self._off_loop(self._summarize, inputs, count)

    async def pages(self) -> AsyncIterator[DraftPage]:
        pages = self._pages()
        while (page := await self._off_loop(next, pages, None)) is not None:
            yield page

    async def begin(self) -> None:
        await self._off_loop(self._open)

    async def close(self) -> None:
        await self._off_loop(lambda: self._database.close())

    async def _off_loop(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args))
        except sqlite3.Error as e:
            hint = "look at the disk of the orchestrator's temporary files"
            raise Unavailable(f"the inventory cannot be kept: {e}", hint=hint) from e

    def _open(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"pragma cache_size = -{_CACHE_KIB}")
        self._database.executescript(_SCHEMA)
        self._database.create_function("name_group", 2, name_group, deterministic=True)
        self._database.create_function("weigh", 2, weigh, deterministic=True)
        self._database.execute("begin")

    def _add(self, index: int, rows: Sequence[Row], marks: Sequence[str]) -> int:
        texts = marks or [""] * len(rows)
        self._database.executemany(
            "insert or replace into object values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((index, *row[1:], mark, row.part) for row, mark in zip(rows, texts, strict=True)),
        )
        self._database.executemany("insert or ignore into folder values (?, ?)", self._folders(index, rows))
        self._counts[index] += len(rows)
        return self._counts[index]

    def _folders(self, index: int, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
        """List the folders that objects lie in, few of them twice."""
        for row in rows:
            folder = row.path.rpartition("/")[0]
            if folder and self._last_folder != (index, folder):
                self._last_folder = (index, folder)
                parts = folder.split("/")
                yield from ((index, "/".join(parts[: n + 1])) for n in range(len(parts)))

    def _share(self, index: int, by: str, count: int) -> InputSummary:
        self._refuse_clashes(index)
        if by in ("bytes", "count"):
            self._share_out(index, by, count)
        ((objects, size),) = self._database.execute(
            "select count(*), coalesce(sum(max(size, 0)), 0) from object where input = ?", (index,)
        )
        found = self._database.execute(
            "select key from object where input = ? order by key limit ?", (index, FIRST_KEYS)
        )
        first = tuple(shorten(key) for (key,) in found)
        return InputSummary(index=index, objects=objects, bytes=size, is_shared=by != "whole", first_keys=first)

    def _summarize(self, inputs: Sequence[InputSummary], count: int) -> Shares | None:
        shared = [each.index for each in inputs if each.is_shared]
        if not shared or count < 1:
            return None
        sums = self._sum_shares(shared, count)
        order = sorted(range(count), key=lambda part: (sums[part][1], sums[part][0], -part))
        told = [*range(min(FIRST_SHARES, count)), order[-1], order[0]]
        keys = self._first_keys(shared, set(told), sums)
        rest = (
            sum(each.objects for each in inputs if not each.is_shared),
            sum(each.bytes for each in inputs if not each.is_shared),
        )
        first = [
            Share(
                partition_index=part,
                objects=sums[part][0] + rest[0],
                bytes=sums[part][1] + rest[1],
                first_keys=tuple(keys[part]),
            )
            for part in told
        ]
        total = sum(size for _, size in sums) + rest[1] * count
        return Shares(partitions=count, bytes=total, first=tuple(first[:-2]), largest=first[-2], smallest=first[-1])

    def _sum_shares(self, shared: Sequence[int], count: int) -> list[tuple[int, int]]:
        """Sum up objects and bytes of each partition in the inputs that are shared out."""
        sums = [(0, 0)] * count
        for index in shared:
            found = self._database.execute(
                "select part, count(*), sum(max(size, 0)) from object where input = ? group by part", (index,)
            )
            for part, objects, size in found:
                sums[part] = (sums[part][0] + objects, sums[part][1] + size)
        return sums

    def _first_keys(
        self, shared: Sequence[int], parts: set[int], sums: Sequence[tuple[int, int]]
    ) -> Mapping[int, list[str]]:
        """Find the first few keys of some partitions, in one walk over the objects that ends as soon as it may."""
        found: dict[int, list[str]] = {part: [] for part in parts}
        missing = sum(min(sums[part][0], FIRST_KEYS) for part in parts)
        for index in shared:
            for part, key in self._database.execute(
                "select part, key from object where input = ? order by key", (index,)
            ):
                if part in found and len(found[part]) < FIRST_KEYS:
                    found[part].append(shorten(key))
                    missing -= 1
                if not missing:
                    return found
        return found

    def _share_out(self, index: int, by: str, count: int) -> None:
        groups = self._database.execute(
            "select name_group(key, mark) as name, sum(weigh(?, size)) as weight from object where input = ?"
            " group by name order by weight desc, name",
            (by, index),
        )
        self._database.execute("delete from share")
        self._database.executemany("insert into share values (?, ?)", share_out(groups, count))
        self._database.execute(
            "update object set part = (select part from share where name = name_group(key, mark)) where input = ?",
            (index,),
        )

    def _refuse_clashes(self, index: int) -> None:
        """Raise StorageFailure for two objects that cannot stand side by side in one folder."""
        twice = self._database.execute(
            "select path, min(key), max(key) from object where input = ? group by path having count(*) > 1 limit 1",
            (index,),
        ).fetchone()
        inside = self._database.execute(
            "select object.key, folder.path from object join folder on folder.input = object.input"
            " and folder.path = object.path where object.input = ? limit 1",
            (index,),
        ).fetchone()
        if twice:
            said = f"objects {shorten(twice[1])!r} and {shorten(twice[2])!r} would both become {shorten(twice[0])}"
        elif inside:
            said = f"object {shorten(inside[0])!r} cannot be both a file and the folder {shorten(inside[1])} of others"
        else:
            return
        raise StorageFailure(said, hint="choose a prefix or filter that leaves one of them out")

    def _pages(self) -> Iterator[DraftPage]:
        columns = "part, key, path, size, etag, version, checksum"
        for (index,) in self._database.execute("select distinct input from object order by input").fetchall():
            found = self._database.execute(f"select {columns} from object where input = ? order by part, key", (index,))
            for rows in cut_pages(Row(*values) for values in found):
                yield DraftPage(index, rows)


@asynccontextmanager
async def new_draft() -> AsyncIterator[Draft]:
    """Open a draft, which is gone with the block."""
    with ThreadPoolExecutor(1, "inventory") as thread:
        draft = Draft(thread)
        await draft.begin()
        try:
            yield draft
        finally:
            await draft.close()
