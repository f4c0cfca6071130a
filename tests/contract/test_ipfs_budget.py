"""The content store keeps within its limit, and deletes what one result alone needs."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.unixfs.build import build
from bacalhau.plugins.ipfs.unixfs.cid import RAW, cid_of

DAY = 24 * 3600 * 10**9


def raw(number, size=1000):
    block = number.to_bytes(4, "big") * (size // 4)
    return str(cid_of(block, RAW, 1)), block


def age(folder, cid, ns):
    """Have a block last used so long ago."""
    (path,) = folder.rglob(cid)
    os.utime(path, ns=(now_ns() - ns,) * 2)


async def put_tree(store, folder, **files):
    """Publish a folder of files; its root, and the CIDs of all blocks."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = {str(cid): block for cid, block in build(folder)}
    await store.put(made)
    return list(made)[-1], set(made)


async def test_the_oldest_blocks_go_where_new_ones_need_their_room(tmp_path, caplog):
    store = BlockStore(tmp_path, most=10_000)
    held = [raw(number) for number in range(10)]
    for number, (cid, block) in enumerate(held):
        await store.put({cid: block})
        age(tmp_path, cid, (20 - number) * DAY)
    cid, block = raw(77)
    await store.put({cid: block})
    missing = await store.missing([name for name, _ in held])
    assert missing and missing == [name for name, _ in held[: len(missing)]]
    assert await store.get(cid) == block
    assert "its 2 oldest blocks were removed" in caplog.text


async def test_what_the_last_hour_used_stays_and_the_store_says_that_it_is_full(tmp_path):
    store = BlockStore(tmp_path, most=2_500)
    first, second, third = raw(1), raw(2), raw(3)
    await store.put(dict([first, second]))
    for _ in range(2):
        with pytest.raises(StorageFailure, match=r"the content store is full: it keeps at most 2.5 kB") as refused:
            await store.put(dict([third]))
        assert "Orchestrator.Retention.ContentMaxTotal" in refused.value.hint and refused.value.retryable
    assert await store.missing([first[0], second[0], third[0]]) == [third[0]]


async def test_a_block_that_was_asked_after_again_is_young(tmp_path):
    store = BlockStore(tmp_path, most=2_500)
    first, second, third = raw(1), raw(2), raw(3)
    await store.put(dict([first, second]))
    age(tmp_path, first[0], 3 * DAY)
    age(tmp_path, second[0], 2 * DAY)
    await store.missing([first[0]])
    await store.put(dict([third]))
    assert await store.missing([first[0], second[0], third[0]]) == [second[0]]


async def test_a_limit_that_was_lowered_holds_from_the_next_block_on(tmp_path):
    many = dict(raw(number) for number in range(10))
    await BlockStore(tmp_path).put(many)
    for cid in many:
        age(tmp_path, cid, DAY)
    store = BlockStore(tmp_path, most=3_000)
    await store.put(dict([raw(99)]))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 3_000


async def test_files_are_for_their_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        await BlockStore(tmp_path).put(dict([raw(1)]))
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}


async def test_a_result_is_deleted_but_for_what_another_one_shares(tmp_path):
    store, shared, large = BlockStore(tmp_path / "store"), b"both have this", os.urandom(900_000)
    mine, blocks = await put_tree(store, tmp_path / "a", shared=shared, own=b"mine alone", large=large)
    other, others = await put_tree(store, tmp_path / "b", shared=shared)
    freed = await store.drop([mine], [other], now_ns())
    assert set(await store.missing(blocks)) == blocks - others
    assert freed.blocks == len(blocks - others) and freed.bytes > 900_000
    assert await store.missing(others) == []
    with pytest.raises(NotFound):
        await store.get(mine)
    assert await store.drop([mine], [], now_ns()) == (0, 0)


async def test_a_block_that_somebody_asked_after_since_stays(tmp_path):
    store = BlockStore(tmp_path / "store")
    root, blocks = await put_tree(store, tmp_path / "a", one=b"1", two=b"2")
    for cid in blocks:
        age(tmp_path, cid, DAY)
    wanted = sorted(blocks - {root})[0]
    await store.missing([wanted])
    await store.drop([root], [], now_ns() - DAY // 2)
    assert set(await store.missing(blocks)) == blocks - {wanted}


TREES = st.lists(st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=6), max_size=3), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(TREES, st.sets(st.integers(0, 4)))
async def test_whatever_is_deleted_the_others_are_whole(tmp_path_factory, trees, gone):
    folder = tmp_path_factory.mktemp("trees")
    store = BlockStore(folder / "store")
    made = [await put_tree(store, folder / str(number), **tree) for number, tree in enumerate(trees)]
    kept = [pair for number, pair in enumerate(made) if number not in gone]
    await store.drop([root for root, _ in made if root not in dict(kept)], [root for root, _ in kept], now_ns())
    needed = {cid for _, blocks in kept for cid in blocks}
    assert await store.missing(needed) == []
    others = {cid for _, blocks in made for cid in blocks} - needed
    assert set(await store.missing(others)) == others
