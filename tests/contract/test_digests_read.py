"""The SHA-256 of what a task reads: right for every source, and made of the bytes as they come, not of the files."""

import hashlib
import random
from base64 import b64encode

import pytest
from aiohttp import web

from bacalhau.compute.execution.reading import find_read
from bacalhau.models.execution.proof import FileRow
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.inline.source import InlineSource
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, build
from bacalhau.plugins.url.source import UrlSource
from tests.support.caching import MB, node_with, stage, tree
from tests.support.faulty import FaultyProxy, breaks
from tests.support.reads import opened_below
from tests.support.web import file_server

pytestmark = pytest.mark.usefixtures("credentials")
BLOCK = 1 << 20  # what sources write at a time
CHUNK = V0.chunk


def body(size, seed=0):
    return random.Random(seed).randbytes(size)


SIZES = {"empty": 0, "one": BLOCK, "two": 2 * BLOCK, "more": 2 * BLOCK + 1, "d/small": 10}
BODIES = {name: body(size) for name, size in SIZES.items()}


def rows(node, name):
    """The files that an execution read: path → (size, hex SHA-256, whether it was in the cache)."""
    return {row.path: (row.size, row.sha256, row.from_cache) for row in find_read(node.execution_folder(name))}


def expected(bodies, *, from_cache=False):
    return {path: (len(data), hashlib.sha256(data).hexdigest(), from_cache) for path, data in bodies.items()}


def s3_spec(url, bucket, key="d/", **params):
    return SpecConfig(
        type="s3", params={"Bucket": bucket, "Key": key, "Endpoint": url, "Region": "us-east-1", **params}
    )


@pytest.mark.parametrize("budget", [0, 100 * MB])
async def test_objects_are_hashed_as_they_come_and_once(s3, bucket, tmp_path, budget):
    s3.fill(bucket, {f"d/{name}": data for name, data in BODIES.items()})
    async with node_with(tmp_path, budget=budget) as node:
        for number in range(2):
            with opened_below(tmp_path) as opened:
                (mount,) = await stage(node, f"e-{number}", s3_spec(s3.url, bucket))
            assert opened.paths == []
            assert tree(mount.host_path) == BODIES
            assert rows(node, f"e-{number}") == expected(BODIES, from_cache=bool(budget and number))


async def test_a_copy_of_what_is_in_the_cache_is_told_as_it_was_given_to_the_task(s3, bucket, tmp_path):
    s3.fill(bucket, {f"d/{name}": data for name, data in BODIES.items()})
    async with node_with(tmp_path) as node:
        for number in range(2):
            (mount,) = await stage(node, f"e-{number}", s3_spec(s3.url, bucket, Writable=True))
            (mount.host_path / "one").write_bytes(b"the task writes into its copy")
            assert rows(node, f"e-{number}") == expected(BODIES, from_cache=bool(number))


async def test_what_a_node_kept_before_it_noted_digests_is_read_once_more(s3, bucket, tmp_path):
    s3.fill(bucket, {"d/k": b"kept"})
    async with node_with(tmp_path) as node:
        await stage(node, "e-0", s3_spec(s3.url, bucket))
        kept = [one.kept._replace(sha256="") for one in await node.cache.list_page(None, 10)]
        await node.cache._books.put(kept, "")
        read = []
        for number in (1, 2):
            with opened_below(tmp_path) as opened:
                await stage(node, f"e-{number}", s3_spec(s3.url, bucket))
            read.append(len(opened.paths))
            assert rows(node, f"e-{number}") == expected({"k": b"kept"}, from_cache=True)
        assert read == [1, 0]


@pytest.mark.parametrize("size", [3 * BLOCK + 7, 70 * BLOCK])
async def test_an_object_whose_connection_breaks_has_the_digest_of_all_of_it(s3, bucket, tmp_path, size):
    data = body(size)
    s3.fill(bucket, {"d/large": data})
    async with FaultyProxy(s3.url).listen() as proxy, node_with(tmp_path, budget=0) as node:
        cuts = [BLOCK + 17, 2 * BLOCK]

        def choose(request):
            return breaks(cuts.pop()) if request.path.endswith("/large") and request.method == "GET" and cuts else None

        proxy.choose = choose
        with opened_below(tmp_path) as opened:
            (mount,) = await stage(node, "e", s3_spec(proxy.url, bucket))
        assert not cuts and tree(mount.host_path) == {"large": data}
        assert rows(node, "e") == expected({"large": data})
        # Of parts that come side by side, each is read once from the system's memory when those before it are there.
        assert len(opened.paths) == (0 if size < 64 * BLOCK else 3)


async def test_a_large_object_of_a_server_that_ignores_ranges_has_the_digest_of_all_of_it(s3, bucket, tmp_path):
    data = body(70 * BLOCK)
    s3.fill(bucket, {"d/large": data})

    async def send_all(proxy, request):
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data)
        return response

    def choose(request):
        return send_all if request.headers.get("Range") else None

    async with FaultyProxy(s3.url).listen() as proxy, node_with(tmp_path, budget=0) as node:
        proxy.choose = choose
        await stage(node, "e", s3_spec(proxy.url, bucket))
        assert rows(node, "e") == expected({"large": data})


@pytest.mark.parametrize("no_range", [False, True])
@pytest.mark.parametrize("size", SIZES.values())
async def test_files_on_the_web_are_hashed_as_they_come(tmp_path, size, no_range):
    data = body(size)
    async with (
        file_server() as server,
        UrlSource() as source,
        node_with(tmp_path, sources={"urldownload": source}) as node,
    ):
        server.files["/a/x.csv"], server.no_range, server.cuts = data, no_range, [size // 2, size // 3]
        spec = SpecConfig(type="urlDownload", params={"URL": f"{server.url}/a/x.csv"})
        for number in range(2):
            with opened_below(tmp_path) as opened:
                await stage(node, f"e-{number}", spec)
            assert opened.paths == []
            assert rows(node, f"e-{number}") == expected({"x.csv": data}, from_cache=bool(number))


async def test_a_row_names_the_object_that_its_file_came_from(s3, bucket, tmp_path):
    s3.fill(bucket, {"d/k": b"kept"})
    async with node_with(tmp_path) as node:
        etags = set()
        for number in range(2):
            await stage(node, f"e-{number}", s3_spec(s3.url, bucket))
            (row,) = find_read(node.execution_folder(f"e-{number}"))
            assert isinstance(row, FileRow) and row.key == "d/k"
            etags.add(row.etag)
        assert len(etags) == 1 and "" not in etags


@pytest.mark.parametrize("budget", [0, 100 * MB])
@pytest.mark.parametrize("profile", [V0, V1], ids=["v0", "v1"])
async def test_content_is_hashed_as_it_comes(tmp_path, profile, budget):
    sizes = {"none": 0, "one": CHUNK, "more": CHUNK + 1, "two": 2 * CHUNK, "two-more": 2 * CHUNK + 1, "large": 5 * MB}
    bodies = {f"d{n % 2}/{name}": body(size, n) for n, (name, size) in enumerate(sizes.items())}
    bodies |= {"twin": bodies["d1/large"], "d0/twin": bodies["d1/one"], "tw\xf6": b"small"}
    (folder := tmp_path / "tree").mkdir()
    for name, data in bodies.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "link").symlink_to("twin")
    (folder / "hard").hardlink_to(folder / "twin")
    bodies["hard"] = bodies["twin"]
    store = BlockStore(tmp_path / "store")
    held = {str(cid): block for cid, block in build(folder, profile)}
    await store.put(held)
    spec = SpecConfig(type="ipfs", params={"CID": list(held)[-1]})
    async with node_with(tmp_path / "node", budget=budget, sources={"ipfs": IpfsSource(store)}) as node:
        for number in range(2):
            with opened_below(tmp_path / "node") as opened:
                (mount,) = await stage(node, f"e-{number}", spec)
            # Of equal files, the second one is a copy of the first.
            assert not [path for path in opened.paths if not path.endswith(("/twin", "/hard", "large", "/one"))]
            assert len(opened.paths) <= (3 if number == 0 or not budget else 0)
            assert (mount.host_path / "link").is_symlink()
            assert rows(node, f"e-{number}") == expected(bodies, from_cache=bool(budget and number))


@pytest.mark.parametrize("size", [0, 10, CHUNK, CHUNK + 1, 3 * MB])
async def test_content_of_one_file_is_hashed_as_it_comes(tmp_path, size):
    (tmp_path / "file").write_bytes(body(size))
    store = BlockStore(tmp_path / "store")
    held = {str(cid): block for cid, block in build(tmp_path / "file")}
    await store.put(held)
    cid = list(held)[-1]
    async with node_with(tmp_path / "node", sources={"ipfs": IpfsSource(store)}) as node:
        for number in range(2):
            with opened_below(tmp_path / "node") as opened:
                await stage(node, f"e-{number}", SpecConfig(type="ipfs", params={"CID": cid}))
            assert opened.paths == []
            assert rows(node, f"e-{number}") == expected({cid: body(size)}, from_cache=bool(number))


async def test_a_source_that_tells_nothing_is_hashed_after_it(tmp_path):
    data = body(70_000)
    spec = SpecConfig(type="inline", params={"URL": f"data:text/plain;base64,{b64encode(data).decode()}"})
    async with node_with(tmp_path, sources={"inline": InlineSource()}) as node:
        await stage(node, "e", spec)
        assert rows(node, "e") == expected({"inline": data})
