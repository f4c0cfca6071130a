"""What the gateway streams: CARs a client can verify, files, folders and tars."""

import io
import tarfile

import pytest

from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.gateway import (
    entity_bytes,
    list_directory,
    raw_block,
    resolve_path,
    stream_car,
    stream_file,
    stream_tar,
)
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, build
from bacalhau.plugins.ipfs.unixfs.car import read_car
from bacalhau.plugins.ipfs.unixfs.cid import cid_of, parse_cid
from tests.contract.test_ipfs_source import snapshot
from tests.unit.plugins.ipfs.test_unixfs import plant

LEAF = 262_144
SMALL = V0._replace(chunk=10, width=3, shard_above=300)


async def stored(tmp_path, tree, profile=V0):
    plant(tmp_path, {"t": tree})
    store, held = BlockStore(tmp_path / "store"), dict(build(tmp_path / "t", profile))
    await store.put({str(cid): block for cid, block in held.items()})
    return store, str(list(held)[-1]), held


async def car(stream):
    return [tuple(found) async for found in read_car(stream)]


async def whole(stream):
    return b"".join([chunk async for chunk in stream])


async def cid_at(store, root, path):
    return (await resolve_path(store, root, path)).cid


async def test_a_whole_car_holds_every_block_once_and_the_root_first(tmp_path):
    store, root, held = await stored(
        tmp_path, {"a": b"x" * 95, "b": b"x" * 95, "d": {str(i): b"%d" % i for i in range(60)}, "e": {}}, SMALL
    )
    blocks = await car(stream_car(store, root))
    assert str(blocks[0][0]) == root
    assert len(blocks) == len(held)
    assert dict(blocks) == held


async def test_depth_first_order(tmp_path):
    """The blocks of `a` lie between the root's and those of `b`."""
    store, root, _ = await stored(tmp_path, {"a": bytes(range(50)), "b": bytes(range(50, 99))}, SMALL)
    below = [await car(stream_car(store, await cid_at(store, root, name))) for name in "ab"]
    assert (await car(stream_car(store, root)))[1:] == below[0] + below[1]


async def test_scopes(tmp_path):
    store, root, _ = await stored(tmp_path, {"a": b"x" * 25, "d": {f"{i:03}": b"" for i in range(90)}}, SMALL)
    shards = await car(stream_car(store, await cid_at(store, root, "d"), "entity"))
    assert len(shards) >= 2
    assert [str(cid) for cid, _ in await car(stream_car(store, root, "entity"))] == [root]
    assert [str(cid) for cid, _ in await car(stream_car(store, root, "block"))] == [root]
    file = await cid_at(store, root, "a")
    assert await car(stream_car(store, file, "entity")) == await car(stream_car(store, file))
    with pytest.raises(BadRequest, match="dag-scope=some"):
        await car(stream_car(store, root, "some"))


async def test_a_part_of_a_file(tmp_path):
    content = bytes(range(100))
    store, root, _ = await stored(tmp_path, {"f": content}, SMALL)
    file = await cid_at(store, root, "f")
    leaves = [
        str(cid_of(block, cid.codec, 0))
        for cid, block in await car(stream_car(store, file, "entity"))
        if len(block) < 25 and cid.codec
    ]
    for scope in ("entity", "all"):
        part = [str(cid) for cid, _ in await car(stream_car(store, file, scope, 35, 45))]
        assert part[0] == file
        assert [cid for cid in part if cid in leaves] == leaves[3:5]
    ahead = [str(cid) for cid, _ in await car(stream_car(store, file, "entity", 70))]
    assert [cid for cid in ahead if cid in leaves] == leaves[7:]


async def test_a_car_of_a_path_begins_with_the_way_to_it(tmp_path):
    store, root, _ = await stored(tmp_path, {"a": {"b": {"c": b"1"}}})
    found = await resolve_path(store, root, "a/b/c")
    assert found.trail == (root, await cid_at(store, root, "a"), await cid_at(store, root, "a/b"))
    blocks = await car(stream_car(store, found.cid, trail=found.trail))
    assert [str(cid) for cid, _ in blocks] == [*found.trail, found.cid]


@pytest.mark.parametrize("profile", [V0, V1, SMALL])
async def test_finding_a_path(tmp_path, profile):
    names = [f"name-{i}" for i in range(40)]
    store, root, held = await stored(tmp_path, {"d": {"é": dict.fromkeys(names, b"1234")}, "f": b"x" * 30}, profile)
    for name in names:
        assert (await resolve_path(store, root, f"d//é/{name}/"))[1:3] == ("file", 4)
    assert (await resolve_path(store, root, ""))[:2] == (root, "directory")
    assert (await resolve_path(store, root, "")).size >= sum(map(len, held.values()))
    for path in ("x", "d/é/name-40", "f/x", "d/é/name-1/x"):
        with pytest.raises(NotFound, match=f"no '{path}' in {root}"):
            await resolve_path(store, root, path)


async def test_a_directory_is_listed_by_name(tmp_path):
    store, root, _ = await stored(tmp_path, {"d": {f"{i:03}": b"1" * i for i in range(40)}}, SMALL)
    entries = await list_directory(store, await cid_at(store, root, "d"))
    assert [entry.name for entry in entries] == [f"{i:03}" for i in range(40)]
    assert await raw_block(store, entries[1].cid) == b"\x0a\x07\x08\x02\x12\x011\x18\x01"
    with pytest.raises(BadRequest, match="not a directory"):
        await list_directory(store, entries[1].cid)


@pytest.mark.parametrize("profile", [V0, V1, V0._replace(chunk=5000, width=3)])
async def test_a_file_from_anywhere_to_anywhere(tmp_path, profile):
    content = bytes(range(256)) * 1100
    store, root, _ = await stored(tmp_path, {"f": content}, profile)
    file = await cid_at(store, root, "f")
    for begin, end in (
        (0, None),
        (5, None),
        (LEAF - 1, LEAF + 1),
        (10, 11),
        (LEAF, None),
        (len(content), None),
        (7, 7),
        (0, 10**9),
    ):
        assert await whole(stream_file(store, file, begin, end)) == content[begin:end]
    with pytest.raises(BadRequest, match="is a directory"):
        await whole(stream_file(store, root))


async def test_a_tree_as_tar(tmp_path):
    plant(
        tmp_path, {"t": {"a": b"1" * 1000, "long" * 40: b"", "d": {f"{i:03}": b"%d" % i for i in range(40)}, "e": {}}}
    )
    (tmp_path / "t" / "link").symlink_to("d/001")
    held = {str(cid): block for cid, block in build(tmp_path / "t", SMALL)}
    store, root = BlockStore(tmp_path / "store"), list(held)[-1]
    await store.put(held)
    with tarfile.open(fileobj=io.BytesIO(await whole(stream_tar(store, root)))) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert snapshot(tmp_path / "out" / root) == snapshot(tmp_path / "t")


async def test_content_that_is_not_held(tmp_path):
    store, cid = BlockStore(tmp_path / "store"), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    for ask in (
        resolve_path(store, cid, "x"),
        raw_block(store, cid),
        list_directory(store, cid),
        *(anext(s(store, cid)) for s in (stream_car, stream_file, stream_tar)),
    ):
        with pytest.raises(NotFound, match=cid):
            await ask


async def test_other_codecs_travel_as_they_are(tmp_path):
    cid = cid_of(b"\xa0", 0x71, 1)
    store = BlockStore(tmp_path)
    await store.put({str(cid): b"\xa0"})
    assert await car(stream_car(store, str(cid))) == [(parse_cid(str(cid)), b"\xa0")]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0:*", (0, None)),
        ("5:9", (5, 10)),
        ("-10:*", (90, None)),
        ("-10:-5", (90, 96)),
        ("3:3", (3, 4)),
        ("-200:*", (0, None)),
    ],
)
def test_byte_ranges(text, span):
    assert entity_bytes(text, 100) == span


@pytest.mark.parametrize("text", ["", "5", "a:b", "9:5", ":"])
def test_bad_byte_ranges(text):
    with pytest.raises(BadRequest, match="entity-bytes"):
        entity_bytes(text, 100)
