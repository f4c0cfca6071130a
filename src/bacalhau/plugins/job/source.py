"""Results of other jobs as inputs: each is brought by the node's own source for the place where it was published.

Archives are unpacked. Where several results are taken, each stands in a folder of its own.
"""

import asyncio
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.archive import Limits, tree_size, unpack_async
from bacalhau.lib.aio import together
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.lib.tree import remove_tree
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.models.job.taken import JobParams, TakenResult
from bacalhau.ports.guard import list_objections
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Entry, Listable, ListedPage, Located, Manifest, Partition, Sharing, Storage
from bacalhau.ports.storage import Volume as Mounted

_MEMBERS = 10_000_000
_LARGEST = 1 << 40  # bytes unpacked, where the task's disk says no less
_AT_ONCE = 8  # results that are brought side by side


class JobSource:
    """A Storage over the other `sources` of its node, by type."""

    def __init__(self, sources: Mapping[str, Storage]) -> None:
        self._sources = sources

    async def check(self) -> None:
        return None

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        found = (
            text
            for taken in require_params(spec, JobParams).pinned
            for text in list_objections(self._sources.get(taken.source.kind), taken.source, namespace)
        )
        return list(dict.fromkeys(found))

    async def is_here(self, source: SpecConfig) -> bool:
        for taken in _taken(source):
            storage = self._storage(taken)
            if not (isinstance(storage, Located) and await storage.is_here(taken.source)):
                return False
        return True

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """List what all results hold. The keys of a result begin with its folder."""
        entries: list[Entry] = []
        for taken in _taken(source):
            storage = self._storage(taken)
            found = (await _resolve(storage, taken)).entries
            entries += _named(taken, found if isinstance(storage, Listable) else _summed(taken, found))
        return Manifest(source, tuple(entries))

    async def list_page(self, source: SpecConfig, after: str) -> ListedPage:
        """List a page of the one result that is asked about: the orchestrator asks about each by itself."""
        taken = _taken(source)[0]
        storage = self._storage(taken)
        if isinstance(storage, Listable):
            page = await storage.list_page(taken.source, after)
            return ListedPage(tuple(_named(taken, page.entries)), page.following)
        found = (await _resolve(storage, taken)).entries
        return ListedPage(tuple(_named(taken, _summed(taken, found))))

    def sharing(self, source: SpecConfig, count: int) -> Sharing:
        return Sharing()

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Mounted:
        """Bring all results. The volume is the one result, or the folder in which each has a folder."""
        results = _taken(manifest.source)
        brought = {taken.folder: into / f".{n}" for n, taken in enumerate(results)}
        shares = _by_folder(manifest.entries)
        told, room = _Told(report, len(results)), _Room(manifest.room or _LARGEST)
        tree = into / "result"
        tree.mkdir()
        try:
            for start in range(0, len(results), _AT_ONCE):
                some = list(enumerate(results))[start : start + _AT_ONCE]
                await together(
                    *(
                        self._fetch_one(
                            taken,
                            Manifest(taken.source, shares.get(taken.folder, ()), manifest.room),
                            brought[taken.folder],
                            _Way(told.part(n), room),
                        )
                        for n, taken in some
                    )
                )
                for _, taken in some:
                    place = tree / taken.folder if len(results) > 1 else tree
                    await asyncio.to_thread(_put, brought[taken.folder] / "tree", taken, place)
                    await asyncio.to_thread(remove_tree, brought[taken.folder])
        except OSError as e:
            raise StorageFailure(
                f"results of other jobs could not be written to {into}: {e.strerror or e}",
                hint="check the disk of the node",
            ) from e
        return Mounted(tree)

    async def _fetch_one(self, taken: TakenResult, listed: Manifest, folder: Path, way: "_Way") -> None:
        """Bring one result to `folder`/tree, unpacked."""
        storage = self._storage(taken)
        folder.mkdir()
        raw = folder / "raw"
        raw.mkdir()
        manifest = listed
        if not isinstance(storage, Listable):
            manifest = (await _resolve(storage, taken))._replace(room=listed.room)
            _refuse_changed(taken, listed.entries, manifest.entries)
        if not manifest.entries and isinstance(storage, Listable):
            raise _no_path(taken)
        volume = await storage.fetch(manifest, raw, way.report)
        if taken.is_archive:
            await way.room.unpack(taken, volume.path, folder / "tree")
        else:
            volume.path.rename(folder / "tree")

    def _storage(self, taken: TakenResult) -> Storage:
        try:
            return self._sources[taken.source.kind]
        except KeyError as e:
            raise StorageFailure(f"this node cannot read inputs from {taken.source.kind}") from e


def _taken(source: SpecConfig) -> Sequence[TakenResult]:
    params = require_params(source, JobParams)
    if not params.pinned:
        raise StorageFailure(f"the result of job {params.name} is not known yet", retryable=True)
    return params.pinned


async def _resolve(storage: Storage, taken: TakenResult) -> Manifest:
    try:
        return await storage.resolve(taken.source)
    except NotFound as e:  # a part that is not in content
        raise _no_path(taken) from e


def _named(taken: TakenResult, entries: Sequence[Entry]) -> list[Entry]:
    """Name the objects of a result so that those of several results can stand in one list."""
    wanted = entries if taken.is_archive or not taken.pick else [e for e in entries if _is_wanted(taken.pick, e.path)]
    return [e._replace(key=f"{taken.folder}/{e.key}", path=f"{taken.folder}/{e.path}") for e in wanted]


def _is_wanted(pick: str, path: str) -> bool:
    return path == pick or path.startswith(pick + "/")


def _summed(taken: TakenResult, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Make one entry of the many of a source that is pinned by what it names: its content cannot change."""
    if len(entries) == 1:
        return entries
    return (Entry("result", "result", sum(max(entry.size, 0) for entry in entries)),)


def _by_folder(entries: Sequence[Entry]) -> dict[str, tuple[Entry, ...]]:
    """Sort objects by their results, under the names that the results' own sources gave them."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        folder, _, key = entry.key.partition("/")
        found.setdefault(folder, []).append(entry._replace(key=key, path=entry.path.removeprefix(folder + "/")))
    return {folder: tuple(each) for folder, each in found.items()}


def _refuse_changed(taken: TakenResult, listed: Sequence[Entry], found: Sequence[Entry]) -> None:
    """Raise StorageFailure for a file that is another one than was listed."""
    if len(listed) == len(found) == 1 and listed[0].etag != found[0].etag:
        raise StorageFailure(
            f"the result of job {taken.job_id}, execution {taken.execution_id} changed since it was listed: its ETag"
            f" was {listed[0].etag or 'none'}, is {found[0].etag or 'none'}",
            hint="run the job again: its inputs are found anew",
        )


class _Room:
    """The bytes that may still be unpacked, of all archives together."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._turn = asyncio.Lock()

    async def unpack(self, taken: TakenResult, fetched: Path, into: Path) -> None:
        """Unpack the one archive that was fetched. Links that lead out of it are left out, as `get` does."""
        archive = fetched if fetched.is_file() else next(fetched.iterdir())
        into.mkdir()
        async with self._turn:
            try:
                await unpack_async(archive, into, taken.pick, Limits(self._left, _MEMBERS))
            except NotFound as e:
                raise _no_path(taken) from e
            self._left -= await asyncio.to_thread(tree_size, into)
        await asyncio.to_thread(archive.unlink)


class _Way(NamedTuple):
    """The progress and the room of one result."""

    report: Report
    room: _Room


def _put(brought: Path, taken: TakenResult, place: Path) -> None:
    """Move what is wanted of a result to its place: the content of a folder, or a file under its own name."""
    found = brought / taken.pick if taken.pick else brought
    found = found.resolve()
    if not found.exists() or not found.is_relative_to(brought.resolve()):
        raise _no_path(taken)
    if found.is_dir():
        if place.exists():
            place.rmdir()
        found.rename(place)
        return
    place.mkdir(exist_ok=True)
    found.rename(place / posixpath.basename(taken.path))


def _no_path(taken: TakenResult) -> StorageFailure:
    return StorageFailure(
        f"the result of job {taken.job_id}, execution {taken.execution_id} has no {taken.path or 'files'}",
        hint=f"see what it has: bacalhau job get {taken.job_id}",
    )


class _Told:
    """Adds up what several results report."""

    def __init__(self, report: Report, parts: int) -> None:
        self._report = report
        self._steps = [Step("staging") for _ in range(parts)]

    def part(self, index: int) -> Report:
        """Make the report of one result."""

        def receive(step: Step) -> None:
            self._steps[index] = step
            names = ("done", "total", "bytes_done", "bytes_total")
            sums = (sum(getattr(each, name) for each in self._steps) for name in names)
            self._report(Step("staging", *sums)._replace(note=step.note))

        return receive


def make_source(setting: Setting) -> JobSource:
    return JobSource(setting.sources)
