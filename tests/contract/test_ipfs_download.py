"""The downloader against a real gateway on loopback, one that breaks off and one that lies."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau.lib.errors import Forbidden, NotFound, StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.download import IpfsDownloader
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, root_cid
from bacalhau.ports.progress import ignore
from tests.contract.test_ipfs_source import NAMES, NODES, keep, snapshot
from tests.support.ipfs_gateway import gateway
from tests.unit.plugins.ipfs.test_unixfs import TREES, plant

LEAF = 262_144
MIXED = {
    "big": os.urandom(LEAF * 5 + 7),
    "d": {"twin": b"x" * 700_000, "deep": {"twin": b"x" * 700_000}},
    "e": {},
    "small": {f"{i:03}": b"%d" % i for i in range(50)},
}

FEW = Patience(seconds=0, attempts=4, first=0.001)


def named(cid):
    return SpecConfig(type="ipfs", params={"CID": cid})


async def kept(tmp_path, tree, profile=V0):
    plant(tmp_path, {"t": tree})
    store = BlockStore(tmp_path / "store")
    (tmp_path / "into").mkdir()
    return store, await keep(store, tmp_path / "t", profile)


@pytest.mark.parametrize("profile", [V0, V1, V0._replace(shard_above=100)])
async def test_a_tree_comes_in_one_stream(tmp_path, profile):
    store, cid = await kept(tmp_path, MIXED, profile)
    steps = []
    async with gateway(store) as door:
        await IpfsDownloader(door.url + "/").download(named(cid), tmp_path / "into", steps.append)
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")
    assert len(door.asked) == 1
    assert {step.stage for step in steps} == {"downloading"}
    assert steps[-1].bytes_done == steps[-1].bytes_total > LEAF * 5
    assert steps[-1].done == 53


async def test_the_tutorial(tmp_path):
    store, cid = await kept(tmp_path, TREES["tutorial"][0])
    async with gateway(store) as door:
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")


@given(
    st.dictionaries(NAMES, NODES, max_size=5),
    st.integers(1, 9),
    st.integers(20, 500),
    st.lists(st.integers(0, 900), max_size=4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
async def test_any_tree_comes_whatever_breaks(tmp_path_factory, tree, chunk, shard_above, cuts):
    tmp_path = tmp_path_factory.mktemp("any")
    store, cid = await kept(tmp_path, tree, V0._replace(chunk=chunk, width=2, shard_above=shard_above))
    async with gateway(store) as door:
        door.cuts = cuts
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")


@pytest.mark.parametrize("profile", [V0, V1])
async def test_a_broken_stream_goes_on_where_it_broke(tmp_path, profile):
    store, cid = await kept(tmp_path, {"f": os.urandom(LEAF * 200), "g": b"1"}, profile)
    async with gateway(store) as door:
        door.cuts = [LEAF * 60 + 5, LEAF * 70]
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")
    assert door.sent < LEAF * 215
    assert any("entity-bytes" in asked for asked in door.asked)


async def fail(door, cid, into):
    """A download that ends for good in the middle."""
    door.refusals = []
    door.cuts += [0] * 50
    with pytest.raises(StorageFailure, match="cannot be reached") as failed:
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), into, ignore)
    assert failed.value.retryable
    door.cuts.clear()


async def test_the_next_attempt_fetches_only_what_is_lacking(tmp_path):
    store, cid = await kept(
        tmp_path, {"a": os.urandom(LEAF * 3), "b": {"c": os.urandom(LEAF * 80), "d": b"2"}, "e": b"3"}
    )
    async with gateway(store) as door:
        door.cuts = [LEAF * 60]  # of 83; what is still in the buffers (2 MiB here, as much in the kernel) is lost
        await fail(door, cid, tmp_path / "into")
        assert (tmp_path / "into" / "a").stat().st_size == LEAF * 3
        assert not (tmp_path / "into" / "b" / "c").exists()
        sent = door.sent
        steps = []
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", steps.append)
        assert door.sent - sent < LEAF * 50
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")
    assert steps[-1].done == 4


async def test_what_an_earlier_attempt_left_is_not_believed(tmp_path):
    store, cid = await kept(tmp_path, {"a": b"1" * LEAF * 3, "b": b"2", "c": os.urandom(LEAF * 3)})
    into = tmp_path / "into"
    async with gateway(store) as door:
        plant(into, {"a": b"9" * LEAF * 3, "b": b"2"})
        (into / f".{root_cid(tmp_path / 't' / 'c')}.part").write_bytes(
            b"0" * LEAF + (tmp_path / "t" / "c").read_bytes()[LEAF : LEAF * 2] + b"junk" * LEAF
        )
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), into, ignore)
        assert snapshot(into) == snapshot(tmp_path / "t")
        asked = len(door.asked)
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), into, ignore)
        assert len(door.asked) == asked + 1
    assert snapshot(into) == snapshot(tmp_path / "t")


async def test_a_gateway_in_trouble_is_asked_again(tmp_path):
    store, cid = await kept(tmp_path, {"a": b"1"})
    async with gateway(store) as door:
        door.refusals = [503, 429, 500]
        await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
        assert snapshot(tmp_path / "into") == {"a": b"1"}
        door.refusals = [502] * 9
        with pytest.raises(StorageFailure, match="status 502"):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
        door.refusals = [403]
        with pytest.raises(Forbidden):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)


async def test_a_gateway_that_lies(tmp_path):
    store, cid = await kept(tmp_path, {"a": b"truth-1" * 9, "b": os.urandom(LEAF * 3) + b"truth-2"})
    for lie, harmed in ((b"truth-1", "a"), (b"truth-2", "b")):
        async with gateway(store) as door:
            door.lies = {lie: lie.upper()}
            with pytest.raises(StorageFailure, match="does not hash to its CID") as failed:
                await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
            assert "lies" in failed.value.hint
        assert not (tmp_path / "into" / harmed).exists()


@pytest.mark.parametrize("way", ["a path of the result", "a path behind the CID", "the source of a task"])
@pytest.mark.parametrize("shard_above", [1 << 20, 1])
async def test_a_gateway_that_lies_about_the_way_to_a_file(tmp_path, way, shard_above):
    store, cid = await kept(tmp_path, {"a": b"truth", "b": b"forged"}, V0._replace(shard_above=shard_above))
    truth, forged = (root_cid(tmp_path / "t" / name).multihash for name in "ab")
    async with gateway(store) as door:
        door.lies = {truth: forged}
        downloader = IpfsDownloader(door.url, patience=FEW)
        with pytest.raises(StorageFailure, match="does not hash to its CID"):
            if way == "a path of the result":
                await downloader.download(named(cid), tmp_path / "into", ignore, "a")
            elif way == "a path behind the CID":
                await downloader.download(named(f"{cid}/a"), tmp_path / "into", ignore)
            else:
                await IpfsSource(Forging(store, truth, forged)).resolve(named(f"{cid}/a"))
    assert snapshot(tmp_path / "into") == {}


class Forging:
    """A store of another node that changes the links of directories."""

    def __init__(self, store, truth, forged):
        self.store, self.truth, self.forged = store, truth, forged

    async def get(self, cid):
        return (await self.store.get(cid)).replace(self.truth, self.forged)


async def test_something_that_is_no_gateway(tmp_path):
    store, cid = await kept(tmp_path, {"a": b"1"})
    async with gateway(store) as door:
        door.lies = {b"roots": b"trees", b"version": b"fashion"}
        with pytest.raises(StorageFailure, match="not a CAR"):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)


@pytest.mark.parametrize("profile", [V0, V0._replace(shard_above=100)])
async def test_only_one_path(tmp_path, profile):
    store, cid = await kept(tmp_path, MIXED, profile)
    async with gateway(store) as door:
        downloader = IpfsDownloader(door.url, patience=FEW)
        await downloader.download(named(cid), tmp_path / "into", ignore, "d/deep")
        assert snapshot(tmp_path / "into") == {"d": None, "d/deep": None, "d/deep/twin": b"x" * 700_000}
        await downloader.download(named(cid), tmp_path / "into", ignore, "/small/007")
        assert (tmp_path / "into" / "small" / "007").read_bytes() == b"7"
        assert door.sent < LEAF * 3
        with pytest.raises(NotFound, match="no 'small/x'"):
            await downloader.download(named(cid), tmp_path / "into", ignore, "small/x")


async def test_a_file_alone(tmp_path):
    store, cid = await kept(tmp_path, {"f": os.urandom(LEAF * 2)})
    async with gateway(store) as door:
        for _ in range(2):
            await IpfsDownloader(door.url, patience=FEW).download(named(f"{cid}/f"), tmp_path / "into", ignore)
    (only,) = snapshot(tmp_path / "into").values()
    assert only == (tmp_path / "t" / "f").read_bytes()


async def test_unknown_content(tmp_path):
    store, _ = await kept(tmp_path, {})
    cid = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
    async with gateway(store) as door:
        with pytest.raises(NotFound, match=f"content {cid} is not held"):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)


async def test_a_folder_that_cannot_be_written(tmp_path):
    store, cid = await kept(tmp_path, {"a": {"b": b"1"}})
    (tmp_path / "into" / "a").write_text("in the way")
    async with gateway(store) as door:
        with pytest.raises(StorageFailure, match=r"cannot write .*/into/a"):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)
        (tmp_path / "into" / "a").unlink()
        (tmp_path / "into" / "a").symlink_to(tmp_path)
        with pytest.raises(StorageFailure, match="a symbolic link is in the way"):
            await IpfsDownloader(door.url, patience=FEW).download(named(cid), tmp_path / "into", ignore)


async def test_a_server_that_is_away_for_longer_than_attempts_is_waited_for(tmp_path):
    store, cid = await kept(tmp_path, {"f": os.urandom(LEAF * 3), "g": b"1"})
    notes = set()
    patient = Patience(seconds=3600, unheard=3600, attempts=0, first=0.001, longest=0.002)
    async with gateway(store) as door:
        door.refusals = [503] * 20
        downloader = IpfsDownloader(door.url, patience=patient)
        await downloader.download(named(cid), tmp_path / "into", lambda step: notes.add(step.note))
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "t")
    assert any("again in 1 s" in note for note in notes)
