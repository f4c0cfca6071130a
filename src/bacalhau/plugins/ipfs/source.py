"""Inputs by content: from the content store, and from a Kubo node's network where one is configured."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.archive import Limits
from bacalhau.border.names import length_fault, shorten
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BadRequest, NotFound, StorageFailure
from bacalhau.lib.patience import tell_wait
from bacalhau.lib.units import parse_duration
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.kubo import Kubo
from bacalhau.plugins.ipfs.tree import Watch, complete_tree, safe_name, too_many_entries
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK, RAW, Cid, parse_path
from bacalhau.plugins.ipfs.unixfs.read import WINDOW, ManyBlocks, Reader, StoreReader, VerifiedReader, resolve, view
from bacalhau.ports.content import ContentStore
from bacalhau.ports.plugin import Setting, source_patience
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Content, Entry, Manifest, Partition, Volume


class IpfsParams(Model):
    """`cid` may have a path below it: `CID/sub/path`. `writable` (ours): the task gets a copy of its own, and not what
    its node's cache holds. `read_timeout` (ours) is a duration such as 30s, for which a block is waited for at most, ""
    for as long as the node waits; it never waits longer.
    """

    cid: str = ""
    writable: bool = False
    read_timeout: str = ""


class IpfsSource:
    """`endpoint` is the RPC address of a Kubo node (URL or multiaddress), asked for what `content` does not hold.

    `patience` is how many seconds are waited for one block, where the input names no shorter time. Trees of more than
    `most_entries` are refused: a few blocks can describe billions.
    """

    def __init__(
        self, content: ContentStore, endpoint: str = "", patience: float = 300.0, most_entries: int = 1_000_000
    ) -> None:
        self._content = content
        self._endpoint = endpoint
        self._patience = patience
        self._most_entries = most_entries
        self._listed: dict[tuple[Cid, str], tuple[Entry, ...]] = {}

    async def check(self) -> None:
        if self._endpoint:
            async with Kubo.open(self._endpoint, patience=10) as kubo:
                await kubo.identify()

    async def is_here(self, source: SpecConfig) -> bool:
        """Tell whether the root is in this node's own store or in the IPFS node it was given."""
        cid, _ = _path_of(require_params(source, IpfsParams))
        if isinstance(self._content, BlockStore) and not await self._content.missing([str(cid)]):
            return True
        if not self._endpoint:
            return False
        async with Kubo.open(self._endpoint, self._patience) as kubo:
            return await kubo.holds(str(cid))

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """One entry a file, `key` being its CID; an empty directory has none.

        Reads directories and the first block of files.
        """
        params = require_params(source, IpfsParams)
        cid, path = _path_of(params)
        if (entries := self._listed.get((cid, path))) is None:
            async with self._reader(params) as reader:
                at, _ = await resolve(reader, cid, path)
                entries = tuple([entry async for entry in _list_files(reader, at, self._most_entries)])
            self._remember((cid, path), entries)
        return Manifest(source, entries)

    def _remember(self, place: tuple[Cid, str], entries: tuple[Entry, ...]) -> None:
        """Keep in mind what was listed, which never changes; the oldest lists go first."""
        self._listed[place] = entries
        while sum(map(len, self._listed.values())) > _REMEMBERED or len(self._listed) > _REMEMBERED_LISTS:
            del self._listed[next(iter(self._listed))]

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        """A directory's content goes into `into`, which is the volume; a file is the volume itself, at `into`/CID."""
        return await self.fetch_rest(manifest, manifest.entries, into, report)

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        """Directories and symbolic links are always read, because they are no entries."""
        params = require_params(manifest.source, IpfsParams)
        cid, path = _path_of(params)
        lacking = {entry.path for entry in missing}
        held = {into / entry.path: entry.size for entry in manifest.entries if entry.path not in lacking}
        if not path and held.keys() == {into / str(cid)}:  # a single file, which is its own root
            report(Step("staging", 1, 1, manifest.size, manifest.size))
            return Volume(into / str(cid))
        files = size = 0

        def tell(more_files: int, more_bytes: int, _: int, note: str = "") -> None:
            nonlocal files, size
            files += more_files
            size += more_bytes
            report(Step("staging", files, len(manifest.entries), size, manifest.size, note))

        limits = Limits(manifest.size, self._most_entries)
        async with self._reader(params, partial(tell, 0, 0, 0)) as reader:
            at, _ = await resolve(reader, cid, path)
            return Volume(await complete_tree(reader, at, into, held, Watch(tell, manifest.record), limits))

    def wants_copy(self, source: SpecConfig) -> bool:
        return require_params(source, IpfsParams).writable

    async def name_place(self, source: SpecConfig) -> str:
        return f"ipfs://{require_params(source, IpfsParams).cid.strip().strip('/')}"

    async def name_contents(self, manifest: Manifest) -> list[Content]:
        place = await self.name_place(manifest.source)
        return [Content(f"{place}/{entry.path}", f"ipfs\0{entry.key}") for entry in manifest.entries]

    @asynccontextmanager
    async def _reader(self, params: IpfsParams, wait: Callable[[str], None] = tell_wait) -> AsyncIterator[Reader]:
        limit = _Limit.of(params, self._patience)
        if not self._endpoint:
            yield VerifiedReader(StoreReader(_Near(self._content, None, limit, wait)))
            return
        async with Kubo.open(self._endpoint, self._patience) as kubo:
            yield VerifiedReader(StoreReader(_Near(self._content, kubo, limit, wait)))


class _Limit(NamedTuple):
    """The time for one block in seconds, and what to do where it is too short."""

    seconds: float
    hint: str

    @classmethod
    def of(cls, params: IpfsParams, patience: float) -> "_Limit":
        """Choose the shorter one of the input's time and the node's own."""
        wanted = _seconds_of(params)
        return cls(wanted, _INPUTS) if wanted < patience else cls(patience, _LONGER)


class _Near:
    """Blocks from the content store, else from Kubo, within a time limit. `wait` is told of one that is slow."""

    def __init__(self, content: ContentStore, kubo: Kubo | None, limit: _Limit, wait: Callable[[str], None]) -> None:
        self._content, self._kubo = content, kubo
        self._limit, self._wait = limit, wait

    async def get_many(self, cids: Sequence[str]) -> list[bytes]:
        if isinstance(self._content, ManyBlocks):
            with suppress(NotFound):
                return await self._content.get_many(cids)
        return await gather_bounded(WINDOW, [partial(self.get, cid) for cid in cids])

    async def get(self, cid: str) -> bytes:
        loop = asyncio.get_running_loop()
        slow = loop.call_later(_SLOW_SECONDS, self._wait, f"waiting for content {cid}")
        try:
            async with asyncio.timeout(self._limit.seconds):
                return await self._find(cid)
        except TimeoutError as e:
            raise await self._late(cid) from e
        except NotFound as e:
            raise StorageFailure(
                f"content {cid} is not there: {e.message}", hint=_WHERE, retryable=self._kubo is not None
            ) from e
        finally:
            slow.cancel()
            if loop.time() >= slow.when():
                self._wait("")

    async def _late(self, cid: str) -> StorageFailure:
        """Make the error of a block that did not come in time. Another node may find it where this one's own IPFS node
        is cut off; where it is not, another search would only take as long again.
        """
        said = f"content {cid} did not come within {self._limit.seconds:g} s"
        if self._kubo is None:
            return StorageFailure(said, hint=_WHERE, retryable=True)
        if await self._kubo.is_cut_off():
            return StorageFailure(f"{said}: this node's own IPFS node is connected to no other", retryable=True)
        return StorageFailure(said, hint=self._limit.hint)

    async def _find(self, cid: str) -> bytes:
        try:
            return await self._content.get(cid)
        except NotFound:
            if self._kubo is None:
                raise
        return await self._kubo.get(cid)


_REMEMBERED, _REMEMBERED_LISTS = 50_000, 200  # entries of all lists that are kept in mind; some 20 MB
_SLOW_SECONDS = 3.0  # after which a block that is waited for is told
_SHARE = 0.8  # of the time for finding out what inputs hold
_LONGER = (
    "No IPFS node that this node's own reaches has it, or it takes longer to find: see InputSources.ReadTimeout and"
    " InputSources.Patience."
)
_INPUTS = (
    "No IPFS node that this node's own reaches has it, or it takes longer to find: the ReadTimeout of the input ended"
    " the search."
)
_WHERE = (
    "Without an IPFS endpoint only content published here can be read; set InputSources.Types.IPFS.Endpoint to reach"
    " more."
)


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an input by content: `CID`, with or without a path below it, is required."""
    params, problems = read_params(spec, IpfsParams)
    if params:
        for read in (_path_of, _seconds_of):
            try:
                read(params)
            except BadRequest as e:
                problems.append(f"{e.message}. {e.hint}".strip())
    return [f"source ipfs: {problem}" for problem in problems]


def _seconds_of(params: IpfsParams) -> float:
    """Return the input's own time for a block in seconds, inf where it names none. Raises BadRequest."""
    if not params.read_timeout.strip():
        return math.inf
    with suppress(ValueError):
        if seconds := parse_duration(params.read_timeout):
            return seconds
    said = f"ReadTimeout {shorten(params.read_timeout)!r} is no duration above 0"
    raise BadRequest(said, hint="Write it like 30s or 2m.")


def _path_of(params: IpfsParams) -> tuple[Cid, str]:
    if not params.cid.strip():
        raise BadRequest("parameter CID is missing", hint="Write it like ipfs://Qm….")
    return parse_path(params.cid)


async def _list_files(reader: Reader, root: Cid, most: int) -> AsyncIterator[Entry]:
    todo = [(root, "", 0)]
    met = 0
    while todo:
        cid, path, tsize = todo.pop()
        met += 1
        if met + len(todo) > most:
            raise too_many_entries(root, most)
        if cid.codec == RAW and tsize:
            yield Entry(str(cid), path, _leaf_size(cid, tsize))
            continue
        block = await reader.get(cid, [later for later, _, _ in todo[:-WINDOW:-1] if later.codec != RAW])
        seen = view(cid, block)
        if seen.kind == "file":
            yield Entry(str(cid), path or str(cid), seen.size)
        skip = 2 if seen.kind == "shard" else 0
        below = [] if seen.kind in ("file", "symlink") else seen.links
        named = [
            (link, safe_name(link.name[skip:], cid) if len(link.name) > skip or not skip else "") for link in below
        ]
        todo += [(link.cid, _below(path, name, cid), link.tsize) for link, name in reversed(named)]


def _leaf_size(cid: Cid, told: int) -> int:
    """Return the size that a link tells of a file of one block, which is checked when the block is there."""
    if told > LARGEST_BLOCK:
        raise StorageFailure(f"a link to {cid} tells {told} bytes, and no block has more than {LARGEST_BLOCK}")
    return told


def _below(path: str, name: str, directory: Cid) -> str:
    if not name:
        return path
    below = f"{path}/{name}" if path else name
    if fault := length_fault(below):
        raise StorageFailure(f"refused: directory {directory} has an entry that can be no file: {fault}")
    return below


def make_source(setting: Setting) -> IpfsSource:
    config = setting.config.input_sources
    patience = source_patience(config)
    # A block has less time than finding out what all inputs hold, so that the error names the content.
    seconds = min(patience.seconds or patience.silence, config.read_timeout * _SHARE)
    return IpfsSource(setting.content, config.types.ipfs.endpoint, seconds)
