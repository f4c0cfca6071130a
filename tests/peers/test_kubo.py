"""Kubo itself, as a shared library: it gives our trees the same CIDs, reads our blocks, and we read its.

The library has no RPC listener, so the calls of `kubo.py` go through a thin HTTP door in front of the real node.
"""

import base64
import json
import os
import random
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from aiohttp import web

from bacalhau.lib.errors import BadRequest, StorageFailure, Unavailable
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.download import IpfsDownloader
from bacalhau.plugins.ipfs.kubo import Kubo, rpc_url
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import build, root_cid
from bacalhau.plugins.ipfs.unixfs.cid import parse_cid
from bacalhau.ports.progress import ignore
from tests.contract.test_ipfs_source import input_of, result_of, snapshot
from tests.unit.plugins.ipfs.test_unixfs import TREES, plant

LEAF = 262_144


class Node:
    """A running Kubo; its blocks are files, as ours are."""

    def __init__(self, folder):
        self.repo = folder / "repo"
        script = Path(__file__).with_name("kubo_process.py")
        with open(folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, script, self.repo],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def ask(self, *request):
        self.process.stdin.write(json.dumps([str(part) for part in request]) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("=> "):
                return json.loads(line[3:])
        raise AssertionError("Kubo has ended")

    def block_file(self, cid):
        key = base64.b32encode(parse_cid(str(cid)).multihash).decode().rstrip("=")
        return self.repo / "blocks" / key[-3:-1] / f"{key}.data"

    def plant_block(self, cid, block):
        self.block_file(cid).parent.mkdir(exist_ok=True)
        self.block_file(cid).write_bytes(block)


@pytest.fixture(scope="module")
def kubo(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("kubo"))
    yield node
    node.process.stdin.close()
    node.process.stdout.close()
    node.process.kill()
    node.process.wait()


def random_tree(seed, depth=3):
    chance = random.Random(seed)
    names = [
        "a",
        "B",
        "ü",
        "日本.txt",
        "with space",
        "per%cent+plus",
        "&;=?#",
        "z" * 200,
        "-",
        "..x",
        "UPPER",
        "tab\there",
    ]
    tree = {}
    for name in chance.sample(names, chance.randint(0, 8)):
        size = chance.choice([0, 1, 1000, LEAF - 1, LEAF, LEAF + 1, 3 * LEAF + 5])
        tree[name] = (
            random_tree(chance.random(), depth - 1) if depth and chance.random() < 0.4 else chance.randbytes(size)
        )
    return tree


LARGE = {
    "175 chunks": {"f": b"x" * LEAF * 174 + b"y"},
    "sharded": {f"file-{i:05}-{'n' * 20}": b"%d" % (i % 9) for i in range(4000)},
    "sharded twice": {"d": {f"{i:05}" + "n" * 200: b"" for i in range(1200)}, "e": {}},
}


@pytest.mark.parametrize("seed", range(12))
def test_random_trees_have_kubos_cids(kubo, tmp_path, seed):
    plant(tmp_path, {"t": random_tree(seed)})
    assert str(root_cid(tmp_path / "t")) == kubo.ask("add", tmp_path / "t")


@pytest.mark.parametrize("tree", LARGE)
def test_large_trees_have_kubos_cids(kubo, tmp_path, tree):
    plant(tmp_path, {"t": LARGE[tree]})
    assert str(root_cid(tmp_path / "t")) == kubo.ask("add", tmp_path / "t")


def test_symlinks_have_kubos_cids(kubo, tmp_path):
    plant(tmp_path, {"t": {"d": {"f": b"1"}, ".hidden": b"2"}})
    (tmp_path / "t" / "inside").symlink_to("d/f")
    (tmp_path / "t" / "outside").symlink_to("/etc/passwd")
    assert str(root_cid(tmp_path / "t")) == kubo.ask("add", tmp_path / "t")


@pytest.mark.parametrize("seed", [3, "sharded"])
def test_kubo_reads_our_blocks(kubo, tmp_path, seed):
    plant(
        tmp_path,
        {"t": (LARGE["sharded"] | {"ours": b"alone"}) if seed == "sharded" else random_tree(seed) | {"ours": b"alone"}},
    )
    for cid, block in build(tmp_path / "t"):
        kubo.plant_block(cid, block)
    assert kubo.ask("download", root_cid(tmp_path / "t"), tmp_path / "back") == 0
    assert snapshot(tmp_path / "back") == snapshot(tmp_path / "t")


class Door:
    """The calls of Kubo's RPC that we use, answered by the node behind."""

    def __init__(self, node):
        self.node = node
        self.queries = []

    async def answer(self, request):
        self.queries.append(request.path_qs)
        return await getattr(self, request.match_info["call"].replace("/", "_"), self.unknown)(request)

    async def unknown(self, _):
        return web.Response(status=404, text="404 page not found")

    async def id(self, _):
        return web.json_response({"ID": self.node.ask("id")})

    async def block_stat(self, request):
        assert request.query["offline"] == "true"
        path = self.node.block_file(request.query["arg"])
        return (
            web.json_response({"Key": request.query["arg"], "Size": path.stat().st_size})
            if path.exists()
            else self.missing(path)
        )

    async def block_get(self, request):
        path = self.node.block_file(request.query["arg"])
        return web.Response(body=path.read_bytes()) if path.exists() else self.missing(path)

    @staticmethod
    def missing(path):
        return web.json_response(
            {
                "Message": f"block was not found locally (offline): ipld: could not find {path.stem}",
                "Code": 0,
                "Type": "error",
            },
            status=500,
        )

    async def add(self, request):
        assert request.query["cid-version"] == "0" and request.query["pin"] == "true"
        folder = Path(tempfile.mkdtemp(dir=self.node.repo.parent))
        names = []
        async for part in await request.multipart():
            names.append(unquote_plus(part.headers["Content-Disposition"].partition('filename="')[2][:-1]))
            path, body = folder / names[-1], await part.read()
            kind = part.headers["Content-Type"]
            if kind == "application/x-directory":
                path.mkdir()
            elif kind == "application/symlink":
                path.symlink_to(os.fsdecode(bytes(body)))
            else:
                path.write_bytes(body)
        hashes = [{"Name": name, "Hash": self.node.ask("add", folder / name)} for name in (*names[1:3], names[0])]
        return web.Response(text="".join(json.dumps(line) + "\n" for line in hashes))


@asynccontextmanager
async def rpc(node):
    door = Door(node)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/v0/{call:.+}", door.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield door, f"/ip4/127.0.0.1/tcp/{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "tree", [TREES["tutorial"][0], random_tree(5), random_tree(8), {}], ids=["tutorial", "5", "8", "empty"]
)
async def test_published_to_kubo_and_brought_back(kubo, tmp_path, tree):
    plant(tmp_path, {"t": tree | {".hidden": {"x": b"1"}, "none": {}}, "in": {}, "out": {}})
    (tmp_path / "t" / "link").symlink_to("none")
    store, steps = BlockStore(tmp_path / "store"), []
    async with rpc(kubo) as (_, endpoint):
        publisher, source = IpfsPublisher(store, endpoint), IpfsSource(store, endpoint)
        await publisher.check()
        await source.check()
        published = await publisher.publish(result_of(tmp_path / "t"), steps.append)
        assert published.params == {"CID": str(root_cid(tmp_path / "t"))}
        assert await source.is_here(published)
        await source.fetch(await source.resolve(published), tmp_path / "in", ignore)
        await IpfsDownloader("", endpoint).download(published, tmp_path / "out", ignore)
    assert snapshot(tmp_path / "in") == snapshot(tmp_path / "out") == snapshot(tmp_path / "t")
    assert steps[-1].bytes_done == steps[-1].bytes_total
    assert published.params["CID"] in kubo.ask("pins")


async def test_what_kubo_does_not_have(kubo, tmp_path):
    cid = str(root_cid(_file(tmp_path, os.urandom(9))))
    async with rpc(kubo) as (_, endpoint):
        assert not await IpfsSource(BlockStore(tmp_path / "store"), endpoint).is_here(input_of(cid))
        with pytest.raises(
            StorageFailure, match=f"content {cid} is not there: Kubo cannot find it: block was not found"
        ) as failed:
            await IpfsSource(BlockStore(tmp_path / "store"), endpoint).resolve(input_of(cid))
        assert failed.value.retryable


async def test_a_node_that_answers_something_else(kubo, tmp_path):
    async with rpc(kubo) as (door, endpoint):
        async with Kubo.open(endpoint) as node:
            assert await node.identify() == kubo.ask("id")
        door.id = door.unknown
        with pytest.raises(Unavailable, match="Kubo's call id was refused: 404 page not found"):
            await IpfsPublisher(BlockStore(tmp_path), endpoint).check()


def _file(folder, content):
    (folder / "f").write_bytes(content)
    return folder / "f"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
        ("/ip6/::1/tcp/5001/http", "http://[::1]:5001"),
        ("/dns4/kubo.local/tcp/443/https", "https://kubo.local:443"),
        ("http://localhost:5001/", "http://localhost:5001"),
    ],
)
def test_endpoints(endpoint, url):
    assert rpc_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5001", "/ip4/1.2.3.4/udp/5001", "/unix/sock"])
def test_bad_endpoints(endpoint):
    with pytest.raises(BadRequest, match="neither a URL nor a multiaddress"):
        rpc_url(endpoint)
