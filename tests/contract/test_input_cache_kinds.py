"""The cache of inputs with what is no bucket: files on the web by their validators, and content of IPFS."""

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import V0, build
from bacalhau.plugins.url.source import UrlSource
from tests.support.caching import MB, names, node_with, objects, stage, tree
from tests.support.web import file_server


def url(server, path="/a/x.csv", **params):
    return SpecConfig(type="urlDownload", params={"URL": f"{server.url}{path}", **params})


def date(**ago):
    return format_datetime(datetime.now(UTC) - timedelta(**ago), usegmt=True)


@pytest.mark.parametrize(
    ("etag", "headers", "is_kept"),
    [
        ('"one"', {}, True),
        ("", {"Last-Modified": date(days=1)}, True),
        ('W/"one"', {"Last-Modified": date(days=1)}, True),
        ('W/"one"', {}, False),
        ("", {"Last-Modified": date(days=-1)}, False),
        ("", {"Last-Modified": "yesterday"}, False),
        ("", {}, False),
    ],
)
async def test_a_file_is_kept_by_what_its_server_says_of_its_version(tmp_path, etag, headers, is_kept):
    async with (
        file_server() as server,
        UrlSource() as source,
        node_with(tmp_path, sources={"urldownload": source}) as node,
    ):
        server.files["/a/x.csv"] = os.urandom(300_000)
        server.etag, server.headers = etag, headers
        for number in range(2):
            (mount,) = await stage(node, f"e-{number}", url(server, "/a/x.csv?secret=1"))
            assert tree(mount.host_path) == {"x.csv": server.files["/a/x.csv"]}
            assert (mount.read_only, mount.own) == (is_kept, not is_kept)
        gets = [method for method, _, _ in server.asked if method == "GET"]
        assert len(gets) == (1 if is_kept else 2)
        listed = [one.kept.name for one in await node.cache.list_page(None, 10)]
        assert listed == [f"{server.url}/a/x.csv"] * is_kept  # what a query says may be a secret


async def test_a_file_that_changed_is_brought_again(tmp_path):
    async with (
        file_server() as server,
        UrlSource() as source,
        node_with(tmp_path, sources={"urldownload": source}) as node,
    ):
        for version in (b"first", b"other"):
            server.files["/a/x.csv"], server.etag = version, f'"{version}"'
            (mount,) = await stage(node, f"e-{version}", url(server, AsFile=True))
            assert (mount.host_path.read_bytes(), mount.host_path.name) == (version, "x.csv")
        assert len(objects(node)) == 2


async def test_a_file_that_its_server_dates_anew_while_it_is_read_is_used_and_not_kept(tmp_path):
    async with (
        file_server() as server,
        UrlSource() as source,
        node_with(tmp_path, sources={"urldownload": source}) as node,
    ):
        server.files["/a/x.csv"], server.etag, server.headers = b"first", "", {"Last-Modified": date(days=2)}
        manifest = await source.resolve(url(server))
        server.headers = {"Last-Modified": date(days=1)}

        async def resolve(spec, part):
            return manifest

        source.resolve = resolve
        (mount,) = await stage(node, "e-1", url(server))
        assert (tree(mount.host_path), mount.own, objects(node)) == ({"x.csv": b"first"}, True, [])


async def publish(store, folder, profile=V0):
    held = {str(cid): block for cid, block in build(folder, profile)}
    await store.put(held)
    return list(held)[-1]


class Counting:
    """A content store that notes the bytes of what is read."""

    def __init__(self, store):
        self._store, self.read = store, 0

    async def get(self, cid):
        block = await self._store.get(cid)
        self.read += len(block)
        return block


async def test_content_is_kept_file_by_file_with_its_folders_and_links(tmp_path):
    (folder := tmp_path / "tree").mkdir()
    for number in range(20):
        (folder / "deep" / str(number)).mkdir(parents=True)
        (folder / "deep" / str(number) / "x").write_bytes(os.urandom(400_000))
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("deep/0/x")
    store = Counting(BlockStore(tmp_path / "store"))
    first = await publish(store._store, folder)
    (folder / "deep/3/x").write_bytes(os.urandom(400_000))
    second = await publish(store._store, folder)
    async with node_with(tmp_path, sources={"ipfs": IpfsSource(store)}) as node:
        moved = []
        for number, cid in enumerate((first, first, second)):
            store.read = 0
            (mount,) = await stage(node, f"e-{number}", SpecConfig(type="ipfs", params={"CID": cid}))
            moved.append(store.read)
            got = mount.host_path
            assert os.readlink(got / "link") == "deep/0/x" and (got / "empty").is_dir()
            assert len(tree(got)) == 21 and mount.read_only
        assert tree(got) == tree(folder)
        assert moved[0] > 20 * 400_000 and moved[1] < moved[0] / 100 and 400_000 < moved[2] < 420_000
        assert await node.cache.measure(f"ipfs://{first}") == 20 * 400_000


@pytest.mark.parametrize("size", [1_000, MB])
async def test_content_of_one_file_is_not_read_again(tmp_path, size):
    (tmp_path / "file").write_bytes(os.urandom(size))
    store = Counting(BlockStore(tmp_path / "store"))
    cid = await publish(store._store, tmp_path / "file")
    async with node_with(tmp_path, sources={"ipfs": IpfsSource(store)}) as node:
        for number in range(2):
            store.read = 0
            (mount,) = await stage(node, f"e-{number}", SpecConfig(type="ipfs", params={"CID": cid}))
            assert mount.host_path.read_bytes() == (tmp_path / "file").read_bytes()
        assert store.read == 0
        assert len(await names(node)) == 1
