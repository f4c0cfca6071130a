"""The inventory of a job: what its inputs hold, found out once, so that all its executions read the same objects.

A node lists the inputs before a version of the job is placed for the first time. The objects are kept in pages, blocks
of the content store of at most `PAGE_BYTES` before they are compressed, sorted by input and partition. The root, one
more block, names the pages, so an execution fetches the root and the pages of its own partition.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from bacalhau.lib.packing import pack, unpack
from bacalhau.lib.wire import Model, always

PAGE_BYTES = 400_000  # before they are compressed; a block travels as base64 in a message of at most 1 MiB
FIRST_KEYS = 3  # of an input or a share that are shown
FIRST_SHARES = 5  # that are shown
T = TypeVar("T")


class Inventory(Model):
    """The inventory of a version of a job. `error` and `hint` say why there is none; then `root` is "".

    `root` names a block of the content store, `made` is Unix ns, `node_id` is the node that listed the inputs, `bytes`
    counts only objects whose size is known, `regions` are those where they lie, as far as the node knew.
    counts only objects whose size is known. `count` is the number of partitions, where the job leaves it to its inputs.
    """

    root: str = ""
    made: int = 0
    node_id: str = ""
    objects: int = 0
    bytes: int = 0
    count: int = 0
    error: str = ""
    hint: str = ""
    regions: tuple[str, ...] = ()

    @property
    def is_made(self) -> bool:
        """Tell whether it says anything; otherwise no node could list, and each execution lists for itself."""
        return bool(self.root or self.error)


class Row(NamedTuple):
    """An object of an inventory: whose share it is in, and the fields of `ports.storage.Entry`."""

    part: int
    key: str
    path: str
    size: int
    etag: str
    version: str
    checksum: str


class InputSummary(Model):
    """An input in a root: its number in the task, what it holds, and whether it is shared out among the partitions.

    `first_keys` are a few of its objects. `identity` says as whom the node read it, and `region` where it lies; both
    may be unknown.
    """

    index: int
    objects: int
    bytes: int
    is_shared: bool
    first_keys: tuple[str, ...] = ()
    identity: str = ""
    region: str = ""


class Share(Model):
    """The objects that one partition reads, of all listed inputs together.

    `first_keys` are a few of those that no other partition reads.
    """

    partition_index: int = always(factory=int)
    objects: int = always(factory=int)
    bytes: int = always(factory=int)
    first_keys: tuple[str, ...] = ()


class Shares(Model):
    """The shares of a job that divides its inputs among `partitions`: the first of them, the largest and the smallest.

    `bytes` is the sum of all.
    """

    partitions: int = always(factory=int)
    bytes: int = always(factory=int)
    first: tuple[Share, ...] = always(factory=tuple)
    largest: Share = always(factory=Share)
    smallest: Share = always(factory=Share)


class PageName(NamedTuple):
    """A page in a root: the block's name, and the first and last partition that it has objects for."""

    input: int
    first: int
    last: int
    name: str


class Root(Model):
    """The first block of an inventory. `shares` is None where every execution reads all."""

    inputs: tuple[InputSummary, ...]
    pages: tuple[PageName, ...]
    shares: Shares | None = None

    def pages_of(self, part: int) -> list[PageName]:
        """List the pages that hold objects of a partition."""
        whole = {each.index for each in self.inputs if not each.is_shared}
        return [page for page in self.pages if page.input in whole or page.first <= part <= page.last]


def weigh(by: str, size: int) -> int:
    """Weigh an object of so many bytes (-1: unknown) in shares that are even by "bytes" or by "count".

    Each object counts as a byte more, so that empty ones are shared out too.
    """
    return max(size, 0) + 1 if by == "bytes" else 1


def name_group(key: str, mark: str) -> str:
    """Name the group of an object, which is shared out as a whole: that of its mark, or its own where it has none."""
    return f"g{mark}" if mark else f"k{key}"


def pack_rows(rows: Sequence[Row], owner: str = "") -> bytes:
    """Encode objects as a page of the job `owner`: no two jobs share a block, so each can be removed with its job."""
    return _pack(rows, owner)


def unpack_rows(page: bytes) -> list[Row]:
    """Read a page. Raises BadRequest when it is none."""
    return _unpack(page, list[Row])


def pack_root(root: Root, owner: str) -> bytes:
    """Encode a root of the job `owner`."""
    return _pack(root, owner)


def unpack_root(block: bytes) -> Root:
    """Read a root. Raises BadRequest when it is none."""
    return _unpack(block, Root)


def cut_pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut objects into pages, in their order."""
    page: list[Row] = []
    size = 0
    for row in rows:
        size += len(row.key) + len(row.path) + len(row.etag) + len(row.version) + len(row.checksum) + 40
        page.append(row)
        if size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _pack(value: object, owner: str) -> bytes:
    return owner.encode() + b"\n" + pack(value)


def _unpack(block: bytes, kind: type[T]) -> T:
    return unpack(block.partition(b"\n")[2], kind)
