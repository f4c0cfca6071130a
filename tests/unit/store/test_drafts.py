"""Objects of inputs while they are listed: each is in one share, shares are even, and what cannot stand side by side is
refused.
"""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.lib.errors import BadRequest, StorageFailure
from bacalhau.models.job.inventory import PAGE_BYTES, Row, pack_rows, unpack_root, unpack_rows
from bacalhau.orchestrator.state.inventories import Inventories
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.store.drafts import new_draft

SIZES = st.lists(st.integers(-1, 10**9), min_size=1, max_size=60)


def row(key, size=1, part=0, path=None):
    return Row(part, key, key if path is None else path, size, f'"{key}"', "", "")


async def read(draft):
    return [(page.input, row) async for page in draft.pages() for row in page.rows]


@given(sizes=SIZES, count=st.integers(1, 9), by=st.sampled_from(["bytes", "count"]), grouped=st.booleans())
@settings(max_examples=40, deadline=None)
async def test_even_shares_hold_each_object_once_and_keep_groups_together(sizes, count, by, grouped):
    rows = [row(f"k{n:04d}", size) for n, size in enumerate(sizes)]
    marks = [str(n % 4) for n in range(len(sizes))] if grouped else ()
    async with new_draft() as draft:
        for start in range(0, len(rows), 7):
            await draft.add(3, rows[start : start + 7][::-1], marks[start : start + 7][::-1])
        found = await draft.share(3, by, count)
        got = await read(draft)
    assert found.is_shared and found.objects == len(sizes) and found.bytes == sum(max(size, 0) for size in sizes)
    assert sorted(each.key for _, each in got) == [each.key for each in rows]
    assert [each.part for _, each in got] == sorted(each.part for _, each in got)
    groups = defaultdict(set)
    loads = Counter({part: 0 for part in range(count)})
    for _, each in got:
        number = int(each.key[1:])
        groups[number % 4 if grouped else number].add(each.part)
        loads[each.part] += max(each.size, 0) + 1 if by == "bytes" else 1
    assert all(len(parts) == 1 for parts in groups.values())
    largest = max(
        sum(max(s, 0) + 1 if by == "bytes" else 1 for n, s in enumerate(sizes) if (n % 4 if grouped else n) == group)
        for group in groups
    )
    assert max(loads.values()) <= sum(loads.values()) / count + largest


async def test_an_object_that_is_listed_twice_counts_once():
    async with new_draft() as draft:
        await draft.add(0, [row("a"), row("b")], ())
        await draft.add(0, [row("b", 5)], ())
        assert (await draft.share(0, "whole", 1)).bytes == 6
        assert [each.key for _, each in await read(draft)] == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("p//a", path="p/a"), row("p/a")], r"objects 'p//a' and 'p/a' would both become p/a"),
        ([row("p/a/b"), row("p/a-"), row("p/a")], r"object 'p/a' cannot be both a file and the folder p/a of others"),
    ],
)
async def test_objects_that_cannot_stand_side_by_side_are_refused(rows, said):
    async with new_draft() as draft:
        await draft.add(0, rows, ())
        with pytest.raises(StorageFailure, match=said):
            await draft.share(0, "whole", 1)


async def test_a_partition_finds_its_pages_and_those_of_inputs_that_are_not_shared_out(tmp_path):
    content = BlockStore(tmp_path)
    inventories = Inventories(content)
    many = PAGE_BYTES // 10
    async with new_draft() as draft:
        await draft.add(0, [row(f"{n:06d}", part=n % 3) for n in range(many)], ())
        await draft.add(1, [row("whole")], ())
        inputs = [await draft.share(0, "owner", 3), await draft.share(1, "whole", 3)]
        root = await inventories.keep("j-1", inputs, draft.pages())
    names = await inventories.names_of(root)
    top = unpack_root(await content.get(root))
    for part in range(3):
        rows = {
            (page.input, each.key): each.part
            for page in top.pages_of(part)
            for each in unpack_rows(await content.get(page.name))
        }
        own = [key for (index, key), owner in rows.items() if index == 0 and owner == part]
        assert own == [f"{n:06d}" for n in range(many) if n % 3 == part] and (1, "whole") in rows
        assert len(top.pages_of(part)) < len(top.pages)
    await inventories.remove([root])
    assert sorted(await content.missing(names)) == sorted(names)


def test_blocks_of_two_jobs_are_never_the_same():
    rows = [row("a")]
    assert pack_rows(rows, "j-1") != pack_rows(rows, "j-2")
    assert unpack_rows(pack_rows(rows, "j-1")) == rows


@pytest.mark.parametrize("block", [b"", b"x", b"\nx", pack_rows([row("a")])[:-3], pack_rows([row("a" * 9_000_000)])])
def test_what_is_no_page_is_refused(block):
    with pytest.raises(BadRequest):
        unpack_rows(block)


def test_a_page_is_no_root():
    with pytest.raises(BadRequest):
        unpack_root(pack_rows([row("a")]))


@given(sizes=SIZES, count=st.integers(1, 30), whole=st.lists(st.integers(0, 50), max_size=3))
@settings(max_examples=40, deadline=None)
async def test_the_summary_of_shares_is_what_each_partition_reads(sizes, count, whole):
    async with new_draft() as draft:
        await draft.add(0, [row(f"k{n:04d}", size) for n, size in enumerate(sizes)], ())
        await draft.add(1, [row(f"w{n}", size) for n, size in enumerate(whole)], ())
        inputs = [await draft.share(0, "bytes", count), await draft.share(1, "whole", count)]
        shares = await draft.summarize(inputs, count)
        got = await read(draft)
        assert await draft.summarize(inputs[1:], count) is None
    assert inputs[0].first_keys == tuple(f"k{n:04d}" for n in range(min(3, len(sizes))))
    want = {part: [len(whole), sum(whole), []] for part in range(count)}
    for index, each in got:
        if index == 0:
            share = want[each.part]
            share[0], share[1] = share[0] + 1, share[1] + max(each.size, 0)
            share[2].append(each.key)
    for share in (*shares.first, shares.largest, shares.smallest):
        objects, size, keys = want[share.partition_index]
        assert (share.objects, share.bytes, list(share.first_keys)) == (objects, size, keys[:3])
    assert [share.partition_index for share in shares.first] == list(range(min(5, count)))
    assert shares.largest.bytes == max(size for _, size, _ in want.values())
    assert shares.smallest.bytes == min(size for _, size, _ in want.values())
    assert (shares.partitions, shares.bytes) == (count, sum(size for _, size, _ in want.values()))
