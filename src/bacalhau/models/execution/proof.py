"""The proof of an execution: what it read and wrote, file by file, and what each of its stages took.

A node makes it while files travel, so nothing is read a second time for it where a plug-in tells its digests. The
files stand in pages, blocks of the content store of at most `PAGE_BYTES` before they are compressed. The root, one more
block, names the pages and tells of the stages. All blocks begin with the execution's id: no two executions share one,
so each can be removed with its execution. An execution's record holds the root's name and three digests.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bacalhau.lib.packing import pack, unpack
from bacalhau.lib.sorted_rows import SortedRows
from bacalhau.lib.wire import Model

PAGE_BYTES = 400_000  # before they are compressed; a page travels as base64 in a message of at most 1 MiB
OUTPUTS = -1  # in place of the number of an input


class Proof(Model):
    """The part of a proof that stands in an execution's record. `error` says why there is none; then all else is "".

    `root` names a block of the content store. The digests are hex SHA-256: `inputs` of the files that were read and
    `outputs` of those that were published (`digest_files`), `sources` of the objects that inputs named, which can be
    made before they are read (`digest_sources`). A digest is "" where there is nothing of that kind.
    """

    root: str = ""
    inputs: str = ""
    sources: str = ""
    outputs: str = ""
    error: str = ""


class FileRow(NamedTuple):
    """A file that was read or written: the number of its input, or `OUTPUTS`; its path below the input's target, or in
    the result; its size in bytes and its hex SHA-256, "" for a place of the node that was used where it is.

    Of an input also the object that it came from, "" where there is none, and whether it was in the node's cache.
    """

    input: int
    path: str
    size: int
    sha256: str
    key: str = ""
    etag: str = ""
    version: str = ""
    from_cache: bool = False


class Stage(Model):
    """A stage of an execution: staging, running or publishing. `seconds` it took, `files` and `bytes` that it moved."""

    name: str
    seconds: float
    files: int = 0
    bytes: int = 0


class Root(Model):
    """The first block of a proof. `pages` are the names of the others, in the order of their files: inputs by number,
    then the outputs. Times are Unix ns.
    """

    stages: tuple[Stage, ...] = ()
    started: int = 0
    ended: int = 0
    image: str = ""
    node_version: str = ""
    input_pages: tuple[str, ...] = ()
    output_pages: tuple[str, ...] = ()


class Written:
    """The files of a result with their SHA-256, as a publisher tells them while it stores them."""

    def __init__(self, rows: SortedRows[FileRow] | None = None) -> None:
        self.rows = SortedRows(FileRow) if rows is None else rows

    def add(self, path: str, size: int, digest: bytes) -> None:
        """Note a file. A publisher notes all files of a result, or none: then they are hashed for it."""
        self.rows.add(FileRow(OUTPUTS, path_text(path), size, digest.hex()))


def path_text(path: str) -> str:
    """Write a path as text that can travel: bytes that are no UTF-8 become \\xNN."""
    if path.isascii():
        return path
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def digest_files(rows: Iterable[FileRow]) -> str:
    """Digest files by number of input, path, size and SHA-256; "" for none. Equal digests mean equal files."""
    return _digest(f"{row.input}\0{row.path}\0{row.size}\0{row.sha256}\n" for row in rows)


def digest_sources(rows: Iterable[FileRow]) -> str:
    """Digest the objects that have an ETag or a version, in the order of input and path; "" for none. No SHA-256 goes
    in, so it can be made from an inventory before anything is read.
    """
    pinned = (row for row in rows if row.etag or row.version)
    return _digest(f"{row.input}\0{row.path}\0{row.size}\0{row.key}\0{row.etag}\0{row.version}\n" for row in pinned)


def _digest(lines: Iterable[str]) -> str:
    made, is_empty = hashlib.sha256(), True
    for line in lines:
        made.update(line.encode("utf-8", "surrogateescape"))
        is_empty = False
    return "" if is_empty else made.hexdigest()


def cut_pages(rows: Iterable[FileRow]) -> Iterator[list[FileRow]]:
    """Cut files into pages, in their order."""
    page: list[FileRow] = []
    size = 0
    for row in rows:
        size += len(row.path) + len(row.key) + len(row.etag) + len(row.version) + 130
        page.append(row)
        if size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def pack_files(rows: list[FileRow]) -> bytes:
    """Encode a page."""
    return pack(rows)


def unpack_files(page: bytes) -> list[FileRow]:
    """Read a page. Raises BadRequest when it is none."""
    return unpack(page, list[FileRow])


def pack_root(root: Root) -> bytes:
    """Encode a root."""
    return pack(root)


def unpack_root(block: bytes) -> Root:
    """Read a root. Raises BadRequest when it is none."""
    return unpack(block, Root)
