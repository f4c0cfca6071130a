"""Publisher and source over one content store: what one stores the other brings, and nothing false gets through."""

import asyncio
import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau.config.plugins import InputSources
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BadRequest, NotFound, PublisherFailure, StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs import source as ipfs_source
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.ipfs.source import IpfsSource, check_source, make_source
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, build, root_cid
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, Cid, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import Link, encode_directory, encode_file, encode_node, encode_shard
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Step, ignore
from bacalhau.ports.publisher import Result
from bacalhau.ports.storage import Entry, Manifest
from tests.unit.plugins.ipfs.test_unixfs import TREES, plant

LEAF = 262_144


def result_of(folder):
    return Result(folder, SpecConfig(type="ipfs"), "j-1", "e-1", "n-1", 0)


def input_of(cid):
    return SpecConfig(type="ipfs", params={"CID": str(cid)})


async def keep(store, path, profile=V0):
    held = {str(cid): block for cid, block in build(path, profile)}
    await store.put(held)
    return list(held)[-1]


async def bring(store, cid, into):
    into.mkdir(exist_ok=True)
    source = IpfsSource(store)
    return (await source.fetch(await source.resolve(input_of(cid)), into, ignore)).path


def snapshot(folder):
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


async def test_the_tutorial_is_published_as_the_original_does_it(tmp_path):
    plant(tmp_path, {"result": TREES["tutorial"][0]})
    steps, store = [], BlockStore(tmp_path / "store")
    publisher = IpfsPublisher(store)
    await publisher.check()
    for _ in range(2):
        published = await publisher.publish(result_of(tmp_path / "result"), steps.append)
        assert published == SpecConfig(type="ipfs", params={"CID": TREES["tutorial"][2]})
    assert {step.stage for step in steps} == {"publishing"}
    assert (steps[-1].bytes_done, steps[-1].bytes_total) == (20_001, 20_001)
    assert snapshot(await bring(store, TREES["tutorial"][2], tmp_path / "in")) == snapshot(tmp_path / "result")


class Watched:
    """A store that remembers what was put, as a remote one would see it."""

    def __init__(self, store):
        self.store, self.puts = store, []

    async def missing(self, cids):
        return await self.store.missing(cids)

    async def put(self, blocks):
        self.puts.append(blocks)
        await self.store.put(blocks)

    async def get(self, cid):
        return await self.store.get(cid)


async def test_puts_fit_a_message_and_the_root_comes_last(tmp_path):
    plant(tmp_path, {"r": {"big": os.urandom(LEAF * 40), "small": {str(i): b"%d" % i for i in range(400)}}})
    seen = Watched(BlockStore(tmp_path / "store"))
    published = await IpfsPublisher(seen).publish(result_of(tmp_path / "r"), ignore)
    assert max(sum(map(len, put.values())) for put in seen.puts) <= 600_000
    assert list(seen.puts[-1]) == [published.params["CID"]]
    plant(tmp_path / "r", {"one more": b"file"})
    seen.puts.clear()
    await IpfsPublisher(seen).publish(result_of(tmp_path / "r"), ignore)
    assert sum(len(put) for put in seen.puts) == 2


async def test_what_cannot_be_published_says_so(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PublisherFailure, match="pipe' is a socket, FIFO or device") as failed:
        await IpfsPublisher(BlockStore(tmp_path / "s")).publish(result_of(tmp_path), ignore)
    assert not failed.value.retryable
    with pytest.raises(PublisherFailure, match="No such file"):
        await IpfsPublisher(BlockStore(tmp_path / "s")).publish(result_of(tmp_path / "none"), ignore)


NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(
    lambda n: n not in (".", "..")
)
NODES = st.recursive(st.binary(max_size=40), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)


@given(st.dictionaries(NAMES, NODES, max_size=5), st.sampled_from([V0, V1]), st.integers(1, 9), st.integers(20, 500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
async def test_any_tree_comes_back(tmp_path_factory, tree, profile, chunk, shard_above):
    folder = tmp_path_factory.mktemp("any")
    plant(folder, {"tree": tree})
    store = BlockStore(folder / "store")
    cid = await keep(store, folder / "tree", profile._replace(chunk=chunk, width=2, shard_above=shard_above))
    manifest = await IpfsSource(store).resolve(input_of(cid))
    assert snapshot(await bring(store, cid, folder / "back")) == snapshot(folder / "tree")
    sizes = {key: len(value) for key, value in snapshot(folder / "tree").items() if value is not None}
    assert {entry.path: entry.size for entry in manifest.entries} == sizes


async def test_a_file_is_the_volume_itself(tmp_path):
    (tmp_path / "f").write_bytes(b"hello\n")
    store = BlockStore(tmp_path / "store")
    for profile in (V0, V1):
        cid = await keep(store, tmp_path / "f", profile)
        manifest = await IpfsSource(store).resolve(input_of(cid))
        assert [(entry.key, entry.size) for entry in manifest.entries] == [(cid, 6)]
        path = await bring(store, cid, tmp_path / "in")
        assert path == tmp_path / "in" / cid
        assert path.read_bytes() == b"hello\n"


async def test_a_path_below_the_cid(tmp_path):
    plant(tmp_path, {"t": {"a": {"b": {"c.txt": b"1"}, "d": b"2"}}})
    store = BlockStore(tmp_path / "store")
    cid = await keep(store, tmp_path / "t")
    assert snapshot(await bring(store, f"{cid}/a/b", tmp_path / "in")) == {"c.txt": b"1"}
    assert (await bring(store, f"ipfs://{cid}/a/d", tmp_path / "in2")).read_bytes() == b"2"
    with pytest.raises(NotFound, match=f"no 'a/x' in {cid}"):
        await bring(store, f"{cid}/a/x/y", tmp_path / "in3")


class Elsewhere:
    """A content store behind a network, which is not to be asked."""


async def test_content_is_here_where_its_blocks_are(tmp_path, free_port):
    (tmp_path / "f").write_bytes(b"x" * 9)
    store = BlockStore(tmp_path / "store")
    held, absent = input_of(await keep(store, tmp_path / "f")), input_of(cid_of(b"other", RAW, 1))
    assert await IpfsSource(store).is_here(held)
    assert not await IpfsSource(store).is_here(absent)
    assert not await IpfsSource(Elsewhere()).is_here(held)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await IpfsSource(store, f"http://127.0.0.1:{free_port}").is_here(absent)


async def test_progress_ends_at_the_manifests_size(tmp_path):
    plant(tmp_path, {"t": {"a": os.urandom(LEAF * 9), "b": b"1"}, "in": {}})
    store, steps = BlockStore(tmp_path / "store"), []
    source = IpfsSource(store)
    manifest = await source.resolve(input_of(await keep(store, tmp_path / "t")))
    await source.fetch(manifest, tmp_path / "in", steps.append)
    assert manifest.size == LEAF * 9 + 1
    assert steps[-1] == Step("staging", 2, 2, manifest.size, manifest.size)
    assert len(steps) > 4


async def test_missing_content_is_named(tmp_path):
    plant(tmp_path, {"t": {"a": b"1", "b": b"2" * LEAF * 2}})
    store, held = BlockStore(tmp_path / "store"), list(build(tmp_path / "t"))
    gone = next(cid for cid, block in held if block.count(b"2") >= LEAF)
    await store.put({str(cid): block for cid, block in held if cid != gone})
    for cid, lacking in (
        (str(held[-1][0]), gone),
        (str(root_cid(tmp_path / "t" / "a", V1)), root_cid(tmp_path / "t" / "a", V1)),
    ):
        with pytest.raises(StorageFailure, match=f"content {lacking} is not there") as failed:
            await bring(store, cid, tmp_path / "in")
        assert "Endpoint" in failed.value.hint


class Silent:
    """A store whose far end never answers."""

    async def get(self, cid):
        await asyncio.Event().wait()


async def test_silence_has_a_limit(tmp_path):
    cid = cid_of(b"", RAW, 1)
    with pytest.raises(StorageFailure, match=f"content {cid} did not come within 0.05 s"):
        await IpfsSource(Silent(), patience=0.05).resolve(input_of(cid))


@pytest.mark.parametrize(("wanted", "waited"), [("50ms", "0.05"), ("1h", "0.07"), ("", "0.07")])
async def test_an_input_may_be_waited_for_a_shorter_time_than_its_node_waits_and_no_longer(tmp_path, wanted, waited):
    """Also while it is brought: a block may be gone between."""
    cid = cid_of(b"", RAW, 1)
    source = IpfsSource(Silent(), patience=0.07)
    spec = SpecConfig(type="ipfs", params={"CID": str(cid), "ReadTimeout": wanted})
    (tmp_path / "in").mkdir()
    for work in (
        source.resolve(spec),
        source.fetch(Manifest(spec, (Entry(str(cid), "x", 1),)), tmp_path / "in", ignore),
    ):
        with pytest.raises(StorageFailure, match=f"content {cid} did not come within {waited} s"):
            await work


async def test_an_endpoint_that_is_not_there(tmp_path, free_port):
    source = IpfsSource(BlockStore(tmp_path / "s"), f"/ip4/127.0.0.1/tcp/{free_port}", patience=1)
    for ask in (source.check(), source.resolve(input_of(cid_of(b"", RAW, 1)))):
        with pytest.raises((Unavailable, StorageFailure), match="cannot be reached"):
            await ask
    publisher = IpfsPublisher(BlockStore(tmp_path / "s"), f"http://127.0.0.1:{free_port}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await publisher.check()
    with pytest.raises(PublisherFailure, match="cannot be reached") as failed:
        await publisher.publish(result_of(tmp_path), ignore)
    assert failed.value.retryable


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def node(links, data):
    block = encode_node(links, data)
    return cid_of(block, DAG_PB, 0), block


def entry(name, cid):
    return Link(cid, name, 1)


FILE_CID, FILE_BLOCK = node([], encode_file(b"evil", 4))


@pytest.mark.parametrize("name", [b"..", b".", b"", b"a/b", b"/etc/x", b"a\0b", b"a\nb", b"\x1b[2J"])
async def test_names_that_leave_the_folder(tmp_path, name):
    root, block = node([entry(name, FILE_CID)], encode_directory())
    store = BlockStore(tmp_path / "store")
    await store.put({str(root): block, str(FILE_CID): FILE_BLOCK})
    with pytest.raises(StorageFailure, match="can be no file"):
        await IpfsSource(store).resolve(input_of(root))
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageFailure, match="can be no file"):
        await IpfsSource(store).fetch(Manifest(input_of(root), ()), tmp_path / "in", ignore)
    assert os.listdir(tmp_path / "in") == []


async def test_symlinks_stay_inside(tmp_path):
    """`round` looks harmless as text, and leads out by way of `up`."""
    targets = {
        "good": "d/f",
        "up": "d/here",
        "round": "d/here/..",
        "abs": "/etc/passwd",
        "out": "../x",
        "dangling": "none",
        "loop": "loop",
    }
    plant(tmp_path, {"t": {"d": {"f": b"1"}}})
    (tmp_path / "t" / "d" / "here").symlink_to("..")
    for name, target in targets.items():
        (tmp_path / "t" / name).symlink_to(target)
    store = BlockStore(tmp_path / "store")
    back = await bring(store, await keep(store, tmp_path / "t"), tmp_path / "in")
    assert {p.name: os.readlink(p) for p in back.rglob("*") if p.is_symlink()} == {
        "here": "..", "good": "d/f", "up": "d/here", "dangling": "none", "loop": "loop"
    }  # fmt: skip


WRONG_TREES = {
    "a size that its child does not have": lambda: [
        (FILE_CID, FILE_BLOCK),
        node([entry(b"", FILE_CID)], encode_file(b"", 9, (9,))),
    ],
    "a directory inside of a file": lambda: [
        (e := node([], encode_directory())),
        node([entry(b"", e[0])], encode_file(b"", 4, (4,))),
    ],
    "a file where a shard belongs": lambda: [
        (FILE_CID, FILE_BLOCK),
        node([entry(b"00", FILE_CID)], encode_shard(b"\1")),
    ],
    "no UnixFS": lambda: [node([], b"\x08\x03")],
}


@pytest.mark.parametrize("kind", WRONG_TREES)
async def test_trees_that_contradict_themselves(tmp_path, kind):
    held = WRONG_TREES[kind]()
    store = BlockStore(tmp_path / "store")
    await store.put({str(cid): block for cid, block in held})
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageFailure):
        await IpfsSource(store).fetch(Manifest(input_of(held[-1][0]), ()), tmp_path / "in", ignore)
    assert not any(path.is_file() and not path.name.startswith(".") for path in (tmp_path / "in").rglob("*"))


async def test_a_directory_that_never_ends_is_refused():
    """30 directories, each linking the next one twice, are a billion entries."""
    held = [(FILE_CID, FILE_BLOCK)]
    for _ in range(30):
        held.append(node([entry(b"a", held[-1][0]), entry(b"b", held[-1][0])], encode_directory()))
    with pytest.raises(StorageFailure, match="more than 1,000 entries"):
        await IpfsSource(Memory(held), most_entries=1000).resolve(input_of(held[-1][0]))


class Memory:
    def __init__(self, held):
        self.held = {str(cid): block for cid, block in held}

    async def get(self, cid):
        return self.held[cid]


async def test_a_store_that_lies(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageFailure, match=f"{FILE_CID} does not hash"):
        await IpfsSource(Memory([(FILE_CID, FILE_BLOCK.replace(b"evil", b"lies"))])).fetch(
            Manifest(input_of(FILE_CID), ()), tmp_path / "in", ignore
        )


async def test_content_inside_of_its_cid(tmp_path):
    cid = Cid(1, RAW, b"\0\x05hello")
    assert (await bring(BlockStore(tmp_path / "s"), cid, tmp_path / "in")).read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"CID": TREES["tutorial"][2]}, []),
        ({"cid": f"{TREES['tutorial'][2]}/outputs"}, []),
        ({}, ["CID is missing"]),
        (None, ["CID is missing"]),
        ({"CID": [5]}, ["field 'CID': expected `str`, got `array`"]),
        ({"CID": "Qmx"}, ["'Qmx' is not valid"]),
        ({"CID": TREES["tutorial"][2], "Path": "x"}, []),
        ({"CID": TREES["tutorial"][2], "readtimeout": "1m30s"}, []),
        ({"CID": TREES["tutorial"][2], "ReadTimeout": "soon"}, ["ReadTimeout 'soon' is no duration above 0. Write it"]),
        ({"CID": TREES["tutorial"][2], "ReadTimeout": "0s"}, ["ReadTimeout '0s' is no duration"]),
        ({"CID": TREES["tutorial"][2], "ReadTimeout": -3}, ["ReadTimeout '-3' is no duration"]),
        ({"CID": "x", "ReadTimeout": 30}, ["'x' is not valid", "ReadTimeout '30' is no duration"]),
        ({"Hash": "x", "CID": "hello"}, ["'hello' is not valid"]),
    ],
)
async def test_checks(tmp_path, params, says):
    problems = check_source(SpecConfig(type="ipfs", params=params))
    assert len(problems) == len(says)
    assert all(text in problem for text, problem in zip(says, problems, strict=True))
    if says:
        with pytest.raises(BadRequest):
            await IpfsSource(BlockStore(tmp_path)).resolve(SpecConfig(type="ipfs", params=params))


class Late(Memory):
    """Answers when it may."""

    def __init__(self, blocks):
        super().__init__(blocks)
        self.may_answer = asyncio.Event()

    async def get(self, cid):
        await self.may_answer.wait()
        return await super().get(cid)


async def test_content_that_is_slow_is_named_in_the_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(ipfs_source, "_SLOW_SECONDS", 0.01)
    (tmp_path / "in").mkdir()
    content = Late([(FILE_CID, FILE_BLOCK)])
    notes = []

    def report(step):
        notes.append(step.note)
        content.may_answer.set()

    manifest = Manifest(input_of(FILE_CID), (Entry(str(FILE_CID), "f", len(FILE_BLOCK)),))
    await IpfsSource(content).fetch(manifest, tmp_path / "in", report)
    assert notes[0] == f"waiting for content {FILE_CID}" and notes[-1] == ""


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({}, 240.0), ({"read_timeout": 50.0}, 40.0), ({"patience": 20.0}, 20.0), ({"patience": 0.0}, 60.0)],
)
def test_the_time_of_a_block_is_the_configurations(tmp_path, settings, seconds):
    config = Config(input_sources=InputSources(**settings))
    assert make_source(Setting(BlockStore(tmp_path), config))._patience == seconds


@pytest.mark.parametrize(
    "peers", ['{"Peers": [{"Addr": "/ip4/192.0.2.1/tcp/4001", "Peer": "12D3"}]}', '{"Peers": null}', "?"]
)
async def test_content_that_nobody_has_ends_the_search_for_good_but_where_the_ipfs_node_is_cut_off(tmp_path, peers):
    """Another attempt would search as long again, unless another node is connected to more."""

    async def answer(reader, writer):
        if b"swarm/peers" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(peers)}\r\n\r\n{peers}".encode())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = IpfsSource(BlockStore(tmp_path), endpoint, patience=0.2)
        with pytest.raises(StorageFailure, match=f"content {FILE_CID} did not come within 0.2 s") as raised:
            await source.resolve(input_of(FILE_CID))
    is_cut_off = "Addr" not in peers
    assert raised.value.retryable == is_cut_off == ("is connected to no other" in raised.value.message)
    assert is_cut_off or "InputSources.ReadTimeout" in raised.value.hint


async def test_a_search_that_the_input_ended_is_not_begun_again_and_says_who_ended_it(tmp_path):
    async def answer(reader, writer):
        if b"swarm/peers" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"Peers": [{"x": "y"}]}')
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        spec = SpecConfig(type="ipfs", params={"CID": str(FILE_CID), "ReadTimeout": "200ms"})
        with pytest.raises(StorageFailure, match=r"did not come within 0\.2 s") as raised:
            await IpfsSource(BlockStore(tmp_path), endpoint).resolve(spec)
    assert not raised.value.retryable and "the ReadTimeout of the input ended the search" in raised.value.hint
