"""The port of sources, which bring the inputs of a task: S3, IPFS, URLs, the node's disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from bacalhau.border.names import shorten
from bacalhau.border.places import Held
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import Report

NAMED = 20  # objects that an error about missing ones names


class Entry(NamedTuple):
    """One object, pinned: `path` is relative to the volume, normalised and safe; `size` in bytes (-1: unknown).

    `etag`, `version` and `checksum` (base64 SHA-256) are "" where the source has none.
    """

    key: str
    path: str
    size: int
    etag: str = ""
    version: str = ""
    checksum: str = ""


class Record(Protocol):
    """The listener of a source that hashes what it brings."""

    def __call__(self, path: str, size: int, digest: bytes, from_cache: bool = False) -> None:
        """Note a file of the volume: its path there, its size in bytes and its SHA-256."""
        ...


def record_nothing(path: str, size: int, digest: bytes, from_cache: bool = False) -> None:
    """The listener where nobody wants to know."""


class Manifest(NamedTuple):
    """The content of a source at one moment. Made once by `resolve`, then only read.

    `room` and `record` are set for `fetch`: how many bytes the task's disk has for its inputs, 0 where nobody says, and
    who is told of the files, from any thread. A source tells all that it brings, or none: then they are hashed later.
    """

    source: SpecConfig
    entries: tuple[Entry, ...]
    room: int = 0
    record: Record = record_nothing

    @property
    def size(self) -> int:
        return sum(max(entry.size, 0) for entry in self.entries)


@dataclass(frozen=True)
class Partition:
    """Whose share of a source is meant: execution `index` of `count`; `count` 0 where a job is not divided (ops,
    daemon).
    """

    index: int = 0
    count: int = 1


WHOLE = Partition()


class Volume(NamedTuple):
    """A path on the node to bind at the input's target; a file or a directory.

    `read_only` is about places outside of the input's own folder: what was brought into that is the task's own copy,
    and always writable.
    `held` is given where jobs may change the folders that lead there: `path` then leads to what is held open.
    """

    path: Path
    read_only: bool = True
    held: Held | None = None


@runtime_checkable
class Storage(Protocol):
    """Failures are StorageFailure (the cause first, naming bucket, key or URL; `retryable` where a retry can help)."""

    async def check(self) -> None:
        """Return when this source can be used on this node, else raise Unavailable saying why."""
        ...

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """List once, pin version or ETag, count bytes. An empty match is an error; an empty share of one is not."""
        ...

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        """Bring the objects below `into`, an existing empty directory of this input's own (stage "staging").

        Bounded memory; every file is written under a temporary name and renamed when complete and verified. `report`
        raises StorageFailure when all inputs of the task together take more than its disk: a source that writes tells
        it at least every few megabytes, or keeps to the manifest's `room` by itself.
        """
        ...


class ListedPage(NamedTuple):
    """A part of what a source holds, and the tokens under which the other parts are; those may be asked for side by
    side, and each names parts of its own. `missing` counts objects of this part that the source names and that are not
    there, and `missing_keys` are the first `NAMED` of them.
    """

    entries: tuple[Entry, ...]
    following: tuple[str, ...] = ()
    missing: int = 0
    missing_keys: tuple[str, ...] = ()


def missing_objects(count: int, keys: Sequence[str]) -> StorageFailure:
    """Make the error of a list that names objects that are not there, of which `keys` are some."""
    named = ", ".join(repr(shorten(key)) for key in keys[:NAMED])
    more = f" and {count - NAMED:,} more" if count > NAMED else ""
    objects = "an object that is" if count == 1 else f"{count:,} objects that are"
    hint = "mend the list, or put the objects there"
    return StorageFailure(f"the list of keys names {objects} not there: {named}{more}", hint=hint, retryable=False)


class Sharing(NamedTuple):
    """The way in which the objects of a source are divided among the partitions of a job.

    `by` is "whole" where each execution gets all of them, "owner" where `mark` says whose an object is (a number from
    0), and "bytes" or "count" where the shares shall be even; then objects of the same `mark` (a text) stay together,
    and those without one stand alone.
    """

    by: str = "whole"
    mark: Callable[[Entry], int | str] | None = None


@runtime_checkable
class Listable(Protocol):
    """A source that may hold a million objects, and so is listed page by page."""

    async def list_page(self, source: SpecConfig, after: str) -> ListedPage:
        """List the first part, or with `after` that of a token. Objects come in any order, each once.

        Raises StorageFailure; nothing that matches is no error here.
        """
        ...

    def sharing(self, source: SpecConfig, count: int) -> Sharing:
        """Say how the objects are shared out among `count` partitions. Raises StorageFailure where they cannot be."""
        ...


class Access(NamedTuple):
    """The way in which a node reads a source: as whom, in a few words without any secret, and the region where the
    source lies; "" where that is unknown.
    """

    identity: str = ""
    region: str = ""


@runtime_checkable
class Told(Protocol):
    """A source that says how it is read."""

    async def access(self, source: SpecConfig) -> Access:
        """Say how a source is read, by what is known without asking its server. Raises StorageFailure."""
        ...


@runtime_checkable
class Located(Protocol):
    """A source whose content may be on the node already; for every other source it is elsewhere."""

    async def is_here(self, source: SpecConfig) -> bool:
        """Tell whether nothing has to be brought from elsewhere; found out without asking anybody but this node.

        Raises StorageFailure, not `retryable`, where this node cannot have it at all.
        """
        ...


class OtherContent(StorageFailure):
    """A source brought something complete that is not what its manifest names."""


class Content(NamedTuple):
    """The bytes of an entry, named. `name` is for people and begins as `Reusable.name_place` says; equal `identity`
    means equal bytes, and "" that another time other bytes may be there.
    """

    name: str
    identity: str


@runtime_checkable
class Reusable(Protocol):
    """A source whose objects a node may keep and use again for another task, which then must not change them."""

    async def name_place(self, source: SpecConfig) -> str:
        """Return the text with which the names of all that a source may hold begin. Raises StorageFailure."""
        ...

    def wants_copy(self, source: SpecConfig) -> bool:
        """Tell whether the task is to have a copy of its own, in which it may write."""
        ...

    async def name_contents(self, manifest: Manifest) -> Sequence[Content]:
        """Name the bytes of each entry, in their order. Raises StorageFailure."""
        ...

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        """Bring the entries that are missing, as `fetch` does; the other files are in their places below `into`, are
        used by other tasks, and are not written to. Raises StorageFailure, OtherContent among them.
        """
        ...


@runtime_checkable
class InPlace(Protocol):
    """A source whose content is used where it is on the node; every other source brings a copy."""

    async def permit(self, source: SpecConfig) -> Volume:
        """Ask the node's rules and open the place, also again when a restarted node takes an execution up.

        Raises StorageFailure where the rules do not allow it, or nothing is there.
        """
        ...
