"""The contract of ContentStore, on the store that keeps blocks in files."""

import asyncio
import os

import pytest

from bacalhau.lib.errors import BadRequest, NotFound, StorageFailure
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, LARGEST_BLOCK, RAW, Cid, cid_of


def blocks(count, size=100, start=0):
    made = [(start + i).to_bytes(4, "big") * (size // 4) for i in range(count)]
    return {str(cid_of(block, RAW, 1)): block for block in made}


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_can_be_had(tmp_path):
    store, held = BlockStore(tmp_path), blocks(50)
    assert await store.missing(held) == list(held)
    await store.put(held)
    assert await store.missing(held) == []
    assert await store.get_many(list(held)) == list(held.values())
    assert [await BlockStore(tmp_path).get(cid) for cid in held] == list(held.values())
    assert {path.parent.name for path in files(tmp_path)} == {cid[-2:] for cid in held}


async def test_a_block_that_is_not_held(tmp_path):
    cid = next(iter(blocks(1)))
    with pytest.raises(NotFound, match=cid):
        await BlockStore(tmp_path).get(cid)


async def test_one_wrong_block_keeps_all_out(tmp_path):
    good, wrong = blocks(1), next(iter(blocks(1, start=9)))
    with pytest.raises(BadRequest, match=f"{wrong} does not hash"):
        await BlockStore(tmp_path).put(good | {wrong: b"else"})
    assert files(tmp_path) == []


async def test_a_block_that_is_too_large(tmp_path):
    block = bytes(LARGEST_BLOCK + 1)
    with pytest.raises(BadRequest, match="more than"):
        await BlockStore(tmp_path).put({str(cid_of(block, RAW, 1)): block})


@pytest.mark.parametrize("cid", ["../../etc/passwd", "", "Qm/../x", "bafk\0"])
async def test_names_cannot_leave_the_folder(tmp_path, cid):
    store = BlockStore(tmp_path)
    for ask in (store.get(cid), store.put({cid: b""}), store.missing([cid])):
        with pytest.raises(BadRequest):
            await ask


async def test_both_spellings_find_the_block(tmp_path):
    store, cid = BlockStore(tmp_path), cid_of(b"node", DAG_PB, 0)
    await store.put({str(cid): b"node"})
    assert await store.get(str(Cid(1, DAG_PB, cid.multihash))) == b"node"


async def test_puts_at_once_share_their_syncs(tmp_path):
    store = BlockStore(tmp_path)
    sets = [blocks(3, start=i * 2) for i in range(20)]
    await asyncio.gather(*(store.put(some) for some in sets))
    assert [await store.missing(some) for some in sets] == [[]] * 20
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_a_failed_put_fails_all_who_share_it_and_leaves_the_store_usable(tmp_path):
    store, first, second = BlockStore(tmp_path), blocks(2), blocks(2, start=7)
    (tmp_path / "incoming").rmdir()
    ended = await asyncio.gather(store.put(first), store.put(second), return_exceptions=True)
    assert [type(end) for end in ended] == [StorageFailure] * 2
    (tmp_path / "incoming").mkdir()
    await store.put(first | second)
    assert await store.missing(first | second) == []


async def test_damage_is_noticed_and_can_be_mended(tmp_path):
    store, held = BlockStore(tmp_path), blocks(1)
    cid = next(iter(held))
    await store.put(held)
    files(tmp_path)[0].write_bytes(b"rotten")
    with pytest.raises(StorageFailure, match="damaged"):
        await store.get(cid)
    assert await store.missing([cid]) == [cid]
    await store.put(held)
    assert await store.get(cid) == held[cid]


def test_opening_removes_what_a_crash_left(tmp_path):
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "half").write_bytes(b"ha")
    BlockStore(tmp_path)
    assert os.listdir(tmp_path / "incoming") == []
