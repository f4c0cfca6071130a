"""IPFS content that lies about its size, or describes more than it has: what is counted is what really comes."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.border.archive import Limits
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.tree import write_tree
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import Link, encode_directory, encode_file, encode_node, encode_shard
from bacalhau.plugins.ipfs.unixfs.read import StoreReader, VerifiedReader
from tests.contract.test_ipfs_source import input_of

MOST = 500


class Memory:
    """A content store that counts what is read."""

    def __init__(self):
        self.held, self.reads = {}, 0

    def keep(self, block, codec=DAG_PB):
        cid = cid_of(block, codec, 1)
        self.held[str(cid)] = block
        return cid

    def directory(self, *links):
        return self.keep(encode_node(list(links), encode_directory()))

    def file(self, data=b"", *parts):
        """`parts` are pairs of a CID and the size that is told of it."""
        sizes = tuple(size for _, size in parts)
        links = [Link(cid, b"", size) for cid, size in parts]
        return self.keep(encode_node(links, encode_file(data, len(data) + sum(sizes), sizes)))

    async def get(self, cid):
        self.reads += 1
        return self.held[cid]


def size_of(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


async def bring(store, root, into: Path, most=MOST):
    """Return the manifest and all that was reported."""
    source, steps = IpfsSource(store, most_entries=most), []
    manifest = await source.resolve(input_of(root))
    into.mkdir()
    await source.fetch(manifest, into, steps.append)
    return manifest, steps


@pytest.mark.parametrize("told", [1, 4, 6, 2**63, 2**64 - 1])
async def test_a_false_size_of_a_leaf_is_an_error(tmp_path, told):
    store = Memory()
    root = store.directory(Link(store.keep(b"12345", RAW), b"a", told))
    with pytest.raises(StorageFailure, match=f"tells {told} bytes"):
        await bring(store, root, tmp_path / "in")
    assert not (tmp_path / "in" / "a").exists()


async def test_a_size_that_is_not_told_is_found_out(tmp_path):
    store = Memory()
    root = store.directory(Link(store.keep(b"12345", RAW), b"a", 0))
    manifest, steps = await bring(store, root, tmp_path / "in")
    assert manifest.size == steps[-1].bytes_done == 5


async def test_sizes_told_of_folders_and_files_change_nothing(tmp_path):
    store = Memory()
    inner = store.directory(Link(store.file(b"12345"), b"a", 2**64 - 1), Link(store.file(b"678"), b"b", 0))
    root = store.directory(Link(inner, b"d", 2**64 - 1), Link(inner, b"e", 1))
    manifest, steps = await bring(store, root, tmp_path / "in")
    assert manifest.size == size_of(tmp_path / "in") == steps[-1].bytes_done == 16


async def test_forty_blocks_that_say_nothing_and_repeat_are_read_once(tmp_path):
    """Each level links the next one twice, and all of them say that they have no bytes."""
    store = Memory()
    at = store.file()
    for _ in range(40):
        at = store.file(b"", (at, 0), (at, 0))
    root = store.directory(Link(at, b"a", 1))
    await bring(store, root, tmp_path / "in")
    assert (tmp_path / "in" / "a").read_bytes() == b"" and store.reads < 10


async def test_a_file_nested_without_end_is_refused(tmp_path):
    store = Memory()
    at = store.file(b"x")
    for _ in range(100):
        at = store.file(b"", (at, 1))
    with pytest.raises(StorageFailure, match="nested more than 64 levels deep"):
        await bring(store, at, tmp_path / "in")


@pytest.mark.parametrize("data", [b"x", b""])
async def test_a_client_stops_at_its_limits_too(tmp_path, data):
    """40 folders, each with the next one twice; no plan was made before."""
    store = Memory()
    at = store.file(data)
    for _ in range(40):
        at = store.directory(Link(at, b"a", 0), Link(at, b"b", 0))
    reader = VerifiedReader(StoreReader(store))
    with pytest.raises(StorageFailure, match="more than 300 entries"):
        await write_tree(reader, at, tmp_path / "in", tmp_path / "in", lambda *_: None, Limits(1 << 30, 300))
    if data:
        with pytest.raises(StorageFailure, match="more than 20 B"):
            await write_tree(reader, at, tmp_path / "on", tmp_path / "on", lambda *_: None, Limits(20, 100_000))
        assert size_of(tmp_path / "on") <= 20


async def test_a_large_file_beyond_the_limit_is_not_begun(tmp_path):
    store = Memory()
    at, size = store.keep(bytes(1000), RAW), 1000
    for _ in range(30):
        at, size = store.file(b"", (at, size), (at, size)), 2 * size
    reader = VerifiedReader(StoreReader(store))
    with pytest.raises(StorageFailure, match=r"the content has more than 1\.0 MB"):
        await write_tree(reader, at, tmp_path / "in", tmp_path / "in", lambda *_: None, Limits(10**6))
    assert size_of(tmp_path) == 0


async def test_what_waits_to_be_listed_counts(tmp_path):
    """Every folder holds the next one and many files, which wait while it goes down."""
    store = Memory()
    leaf = store.keep(b"x", RAW)
    at = leaf
    for _ in range(10):
        at = store.directory(*(Link(leaf, b"f%d" % n, 1) for n in range(90)), Link(at, b"a", 1))
    reads = store.reads
    with pytest.raises(StorageFailure, match=f"more than {MOST} entries"):
        await IpfsSource(store, most_entries=MOST).resolve(input_of(at))
    assert store.reads - reads < 10


async def test_a_shard_has_no_more_links_than_its_width(tmp_path):
    store = Memory()
    leaf = store.keep(b"x", RAW)
    root = store.keep(encode_node([Link(leaf, b"00f%d" % n, 1) for n in range(257)], encode_shard(b"\1")))
    with pytest.raises(StorageFailure, match="a shard of width 256 cannot have 257 links"):
        await IpfsSource(store).resolve(input_of(root))


async def test_a_path_longer_than_any_system_takes_is_refused(tmp_path):
    store = Memory()
    at = store.keep(b"x", RAW)
    for _ in range(100):
        at = store.directory(Link(at, b"n" * 255, 1))
    with pytest.raises(StorageFailure, match="bytes, more than 4095"):
        await IpfsSource(store).resolve(input_of(at))


async def test_two_entries_of_one_name_are_refused(tmp_path):
    store = Memory()
    leaf = store.keep(b"x", RAW)
    root = store.directory(Link(leaf, b"a", 1), Link(store.directory(), b"a", 1))
    with pytest.raises(StorageFailure, match="two of its entries have the same name"):
        await IpfsSource(store).resolve(input_of(root))


@st.composite
def graphs(draw):
    """Blocks that link blocks before them, as often as they like, and tell any size of them."""
    store = Memory()
    made = [(store.keep(b"leaf", RAW), 4), (store.file(b"small"), 5)]
    tsizes = st.sampled_from([0, 1, 4, 5, 2**40, 2**64 - 1])
    for _ in range(draw(st.integers(1, 12))):
        below = draw(st.lists(st.sampled_from(made), max_size=4))
        if draw(st.booleans()):
            parts = [(cid, size if draw(st.integers(0, 9)) else draw(tsizes)) for cid, size in below]
            data = draw(st.binary(max_size=3))
            made.append((store.file(data, *parts), len(data) + sum(size for _, size in parts)))
        else:
            links = [
                Link(cid, b"%d" % n, size if draw(st.integers(0, 3)) else draw(tsizes))
                for n, (cid, size) in enumerate(below)
            ]
            made.append((store.directory(*links), draw(tsizes)))
    return store, made[-1][0]


@settings(max_examples=150, deadline=None)
@given(graphs())
async def test_of_any_graph_all_that_came_was_planned_and_told(tmp_path_factory, graph):
    store, root = graph
    folder = tmp_path_factory.mktemp("graph")
    try:
        manifest, steps = await bring(store, root, folder / "in")
    except StorageFailure:
        assert size_of(folder) <= 1 << 20
        return
    assert size_of(folder) == manifest.size == (steps[-1].bytes_done if steps else 0)
    assert len([path for path in (folder / "in").rglob("*") if path.is_file()]) == len(manifest.entries)
    assert os.listdir(folder) == ["in"]


async def test_the_first_report_of_a_download_is_no_larger_than_what_came(tmp_path):
    store = Memory()
    root = store.directory(Link(store.file(b"12345"), b"a", 2**64 - 1))
    told = []
    reader = VerifiedReader(StoreReader(store))
    await write_tree(reader, root, tmp_path / "in", tmp_path / "in", lambda *step: told.append(step))
    assert sum(size for _, size, _ in told) == told[-1][2] == 5
