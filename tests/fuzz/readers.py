"""Sources and downloaders that read from lying servers: they bring what was asked for, or end in one clear error."""

import asyncio
import base64
import gzip
import hashlib
import os
import resource
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

from hypothesis import strategies as st

from bacalhau.border.tar import Member, join
from bacalhau.lib import patience
from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.download import IpfsDownloader
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import V1, build
from bacalhau.plugins.ipfs.unixfs.car import car_frame, car_header
from bacalhau.plugins.s3 import client as s3_client
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.source import S3Source
from bacalhau.plugins.url import client as url_client
from bacalhau.plugins.url.download import UrlDownloader
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import Step, ignore
from tests.fuzz.liars import Liar, Reply, Script, files_below, lying, part_of, scripts
from tests.fuzz.search import Search

SECONDS = 30.0
DISK = 32 << 20  # bytes that a task has for its inputs
GROWTH = 300 << 20  # bytes of memory
BODY = b"".join(b"line %d\n" % n for n in range(3000))
DIGEST = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
ARCHIVE = gzip.compress(
    join([(Member("stdout", len(BODY)), BODY), (Member("d/", is_folder=True), b""), (Member("d/x", 1), b"x")]), mtime=0
)
ARCHIVE_DIGEST = base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()
HURRIED = Patience(seconds=0.2, unheard=0.1, attempts=2, first=0.001, longest=0.01)
HONEST = Script((), ())
Read = Callable[[Liar, Path], Awaitable[None]]


@contextmanager
def hurried() -> Iterator[None]:
    """Make waits between attempts, and for silent servers, so short that thousands of them can be tried."""
    changes: list[tuple[Any, str, Any]] = [
        (s3_client, "_CONNECT_SECONDS", 1),
        (url_client, "_CONNECT_SECONDS", 1),
        (patience, "_LONGEST_SILENCE", 0.2),
    ]
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, keys))
        for place, name, value in changes:
            stack.enter_context(mock.patch.object(place, name, value))
        yield


def _bounded(step: Step) -> None:
    """Refuse what a task has no disk for, as a node does."""
    if step.bytes_done > DISK:
        raise StorageFailure("the inputs take more than the task's disk")


async def _try(truth: Callable[..., Reply], script: Script, read: Read) -> None:
    """Read once. Raises AssertionError for whatever is neither the truth nor an error in words, or no error at all
    where no lie was told.
    """
    loose: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: loose.append(str(told)))
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder, "into")
        into.mkdir()
        try:
            async with lying(truth, script) as liar, asyncio.timeout(SECONDS):
                await read(liar, into)
        except BacalhauError as e:
            if script == HONEST:
                raise
            assert e.message and len(e.message) < 5000, e.message[:300]
        assert os.listdir(folder) == ["into"], os.listdir(folder)
    assert not loose, loose


def _search(search: Search, truth: Callable[..., Reply], bodies: st.SearchStrategy[bytes], *reads: Read) -> None:
    before = _peak()
    with hurried():
        for read in reads:
            asyncio.run(_try(truth, HONEST, read))
            search.run(
                lambda script, read=read: asyncio.run(_try(truth, script, read)), scripts(bodies), share=1 / len(reads)
            )
    assert _peak() - before < GROWTH, f"memory grew by {_peak() - before >> 20} MB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_JUNK = st.binary(max_size=50) | st.sampled_from([b"", b"\x1f\x8b" + b"\xff" * 50, bytes(2 << 20)])


def knock_urls(search: Search) -> None:
    """Read files from URLs, as a node does and as `get` does."""

    def truth(method: str, target: str, headers: dict[str, str]) -> Reply:
        return part_of(BODY, headers, {"ETag": '"one"'})

    async def source(liar: Liar, into: Path) -> None:
        async with UrlSource(HURRIED) as reader:
            manifest = await reader.resolve(SpecConfig(type="urlDownload", params={"URL": f"{liar.url}/a/file"}))
            await reader.fetch(manifest, into, _bounded)
        (name,) = os.listdir(into)
        assert (into / name).is_file() and name == manifest.entries[0].path, name

    def archives(method: str, target: str, headers: dict[str, str]) -> Reply:
        return part_of(ARCHIVE, headers, {})

    async def result(liar: Liar, into: Path) -> None:
        spec = SpecConfig(type="urlDownload", params={"URL": f"{liar.url}/a/result.tar.gz"})
        await UrlDownloader(liar.url, HURRIED).download(spec, into, _bounded)

    _search(search, truth, _JUNK, source)
    _search(search, archives, _JUNK, result)


def _listing(objects: list[tuple[str, str]], more: str) -> bytes:
    rows = "".join(f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>" for key, size in objects)
    return f"<ListBucketResult>{more}{rows}</ListBucketResult>".encode("utf-8", "surrogatepass")


_KEYS = st.sampled_from(
    ["p/a", "p/b/c", "p/../x", "p//", "p/", "", "q", "p/\x01", "p/&#x41;", "p/&lt;", "p/" + "k" * 300]
)
_BYTES = st.sampled_from([str(len(BODY)), "0", "1", "-1", "x", "", "70000000", "9" * 30, "1e3", "٣", "99999999999999"])
_MORE = st.sampled_from(
    [
        "",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        "<IsTruncated>true</IsTruncated>",
        "<Contents/>",
        "<Contents><Key><Key>a</Key></Key></Contents>",
        "<a>" * 5000,
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        "&b;",
    ]
)
_ENTITIES = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY a%d "%b">' % (n, (b"&a%d;" % (n - 1) if n > 1 else b"&a;") * 10) for n in range(1, 10)
)
_XML = st.builds(_listing, st.lists(st.tuples(_KEYS, _BYTES), max_size=3), _MORE) | st.sampled_from(
    [
        _ENTITIES + b"]><l>&a9;</l>",
        b"<Error><Code>AccessDenied</Code><Message>\x1b[2J" + b"m" * 9000 + b"</Message></Error>",
        b"<Error><Code>PermanentRedirect</Code><Endpoint>127.0.0.1:1</Endpoint><Region>x/y</Region></Error>",
        b"<Error><Code>SlowDown</Code></Error>",
        b"\xff\xfe<\x00",
        b"<l xmlns='" + b"n" * 90_000 + b"'/>",
    ]
)


def knock_buckets(search: Search) -> None:
    """Read objects, prefixes and results of S3."""

    def truth(method: str, target: str, headers: dict[str, str]) -> Reply:
        path, _, query = target.partition("?")
        if "list-type" in query:
            return Reply(_listing([("p/a", str(len(BODY))), ("p/b/c", str(len(BODY)))], ""))
        body = ARCHIVE if unquote(path).endswith(".tar.gz") else BODY
        return part_of(body, headers, {"ETag": '"one"'})

    def named(liar: Liar, key: str, **more: str) -> SpecConfig:
        params = {"Bucket": "b", "Key": key, "Endpoint": liar.url, "Region": "us-east-1", **more}
        return SpecConfig(type="s3", params=params)

    async def bring(spec: SpecConfig, into: Path) -> dict[str, bytes]:
        source = S3Source(most_objects=10_000, patience=HURRIED)
        try:
            await source.fetch(await source.resolve(spec), into, _bounded)
        finally:
            await source.close()
        return files_below(into)

    async def prefix(liar: Liar, into: Path) -> None:
        assert not any(name.startswith(".part") for name in await bring(named(liar, "p/"), into))

    async def single(liar: Liar, into: Path) -> None:
        assert await bring(named(liar, "p/a", ChecksumSHA256=DIGEST), into) == {"a": BODY}

    async def plain(liar: Liar, into: Path) -> None:
        await S3Downloader(liar.url, HURRIED).download(named(liar, "p/"), into, _bounded)

    async def archive(liar: Liar, into: Path) -> None:
        source = {"Bucket": "b", "Key": "r.tar.gz", "Endpoint": liar.url, "ChecksumSHA256": ARCHIVE_DIGEST}
        params = {"SourceSpec": source, "PreSignedURL": f"{liar.url}/b/r.tar.gz?signed"}
        await S3Downloader(liar.url, HURRIED).download(SpecConfig(type="s3PreSigned", params=params), into, _bounded)
        assert files_below(into) == {"stdout": BODY, "d/x": b"x"}

    _search(search, truth, _JUNK | _XML, prefix, single, plain, archive)


def _tree() -> tuple[dict[str, bytes], list[tuple[Any, bytes]]]:
    """Make a small tree: its files, and its blocks, the root last."""
    files = {"a": BODY * 20, "d/twin": b"x" * 700_000, "d/e/twin": b"x" * 700_000, "empty": b""}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return files, list(build(Path(folder), V1))


def knock_content(search: Search) -> None:
    """Read a tree from a gateway, and from a Kubo node."""
    files, blocks = _tree()
    held, root = {str(cid): block for cid, block in blocks}, blocks[-1][0]
    car = car_header(root) + b"".join(car_frame(cid, block) for cid, block in reversed(blocks))
    shown = {name: data[: 1 << 20] for name, data in files.items()}

    def truth(method: str, target: str, headers: dict[str, str]) -> Reply:
        path, _, query = target.partition("?")
        name = query.partition("arg=")[2].partition("&")[0] or path.rpartition("/")[2]
        return Reply(car) if "format=car" in query else Reply(held.get(name, b""), 200 if name in held else 404)

    async def gateway(liar: Liar, into: Path) -> None:
        await IpfsDownloader(liar.url, patience=HURRIED).download(
            SpecConfig(type="ipfs", params={"CID": str(root)}), into, ignore
        )
        assert files_below(into) == shown

    async def kubo(liar: Liar, into: Path) -> None:
        with tempfile.TemporaryDirectory() as empty:
            source = IpfsSource(BlockStore(Path(empty)), liar.url, patience=0.5)
            manifest = await source.resolve(SpecConfig(type="ipfs", params={"CID": str(root)}))
            await source.fetch(manifest, into, ignore)
        assert files_below(into) == shown

    wrong = st.sampled_from([block for _, block in blocks] + [car[:100], car + car, car_header(root), bytes(3 << 20)])
    frames = st.lists(st.sampled_from(blocks), max_size=5).map(
        lambda some: car_header(root) + b"".join(car_frame(cid, block) for cid, block in some)
    )
    _search(search, truth, _JUNK | wrong | frames, gateway, kubo)
