"""Paths of the node as inputs, on a real disk with symlinks."""

import os

import pytest

from bacalhau.lib.errors import BadRequest, StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.local.source import LocalSource
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Volume


def spec(path, **params):
    return SpecConfig(type="local", params={"SourcePath": str(path), **params})


async def bring(allowed, path, into, **params):
    source = LocalSource([str(pattern) for pattern in allowed])
    return await source.fetch(await source.resolve(spec(path, **params)), into, ignore)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data/sub dir").mkdir(parents=True)
    (tmp_path / "data/sub dir/file").write_text("content")
    (tmp_path / "secret").mkdir()
    return tmp_path / "data"


@pytest.fixture
def into(tmp_path):
    (tmp_path / "into").mkdir()
    yield tmp_path / "into"
    assert os.listdir(tmp_path / "into") == []


async def test_bound_in_place(data, into):
    assert await bring([data / "**"], data / "sub dir", into) == Volume(data / "sub dir", read_only=True)
    assert await bring([data / "**"], data / "sub dir/file", into) == Volume(data / "sub dir/file", read_only=True)
    assert (data / "sub dir/file").read_text() == "content"


async def test_nothing_is_counted(data):
    manifest = await LocalSource([str(data)]).resolve(spec(data))
    assert (manifest.size, [entry.key for entry in manifest.entries]) == (0, [str(data)])


async def test_what_is_here_and_what_this_node_cannot_have(data):
    source = LocalSource([f"{data}/**:rw"])
    assert await source.is_here(spec(data / "sub dir/file"))
    assert not await source.is_here(
        spec(data / "new", ReadWrite=True, CreateAs="dir")
    )  # it could be made, here as well as elsewhere
    for path, why in ((data / "none", "does not exist"), (data.parent / "secret", "is not allowlisted")):
        with pytest.raises(StorageFailure, match=why) as failed:
            await source.is_here(spec(path))
        assert not failed.value.retryable
    assert not (data / "new").exists()


async def test_without_allowed_paths_the_node_offers_none(data, into):
    for nothing in ((), (" ",)):
        with pytest.raises(Unavailable, match="no local paths are allowed on this node") as failed:
            await LocalSource(nothing).check()
        assert "Compute.AllowListedLocalPaths" in failed.value.hint
        with pytest.raises(StorageFailure, match=f"volume {data} is not allowlisted"):
            await bring(nothing, data, into)
    with pytest.raises(Unavailable, match="'data/\\*' is not absolute"):
        await LocalSource(["data/*"]).check()
    await LocalSource([str(data), "**"]).check()


async def test_paths_are_compared_where_they_lead(data, into, tmp_path):
    (data / "way out").symlink_to("../secret")
    (tmp_path / "alias").symlink_to("data")
    for sneaky in (data / "way out", data / "../secret", f"{data}//sub dir/../../secret/", f"{data}/way out/../secret"):
        with pytest.raises(StorageFailure, match="is not allowlisted") as failed:
            await bring([data / "**"], sneaky, into)
        assert failed.value.message == f"volume {sneaky} is not allowlisted"
        assert not failed.value.retryable
    assert await bring([data / "**"], tmp_path / "alias/sub dir", into) == Volume(data / "sub dir")
    assert await bring([tmp_path / "alias/*"], data / "sub dir", into) == Volume(data / "sub dir")


async def test_writing_has_to_be_granted(data, into):
    assert await bring([f"{data}:rw"], data, into, ReadWrite="true") == Volume(data, read_only=False)
    assert await bring([f"{data}:rw"], data, into, ReadWrite=False) == Volume(data, read_only=True)
    granted = await bring([f"{data}:ro", f"{data.parent}/**:rw"], data, into, ReadWrite=True)
    assert (granted.held.place, granted.read_only) == (str(data), False)
    for read_only in (f"{data}", f"{data}:ro"):
        with pytest.raises(StorageFailure, match=f"{data} is not granted write access"):
            await bring([read_only, "/elsewhere:rw"], data, into, ReadWrite=True)


@pytest.mark.parametrize(
    ("allowed", "params"),
    [
        (":rw", {}),
        (":rw", {"ReadWrite": True}),
        (":rw", {"ReadWrite": True, "CreateAs": "noCreate"}),
        (":rw", {"CreateAs": "dir"}),
        (":ro", {"CreateAs": "file"}),
    ],
)
async def test_what_is_missing_is_refused(data, into, allowed, params):
    with pytest.raises(StorageFailure, match="none does not exist and creation is not allowed"):
        await bring([f"{data}/**{allowed}"], data / "none", into, **params)
    assert not (data / "none").exists()


async def test_what_is_missing_is_made_when_both_sides_say_so(data, into):
    rules = [f"{data}/**:rw"]
    source = LocalSource(rules)
    manifest = await source.resolve(spec(data / "new/dir", ReadWrite=True, CreateAs="DIR"))
    assert not (data / "new").exists()
    made = await source.fetch(manifest, into, ignore)
    assert (made.held.place, made.read_only) == (f"{data}/new/dir", False)
    assert (data / "new/dir").stat().st_mode & 0o7777 == 0o700
    made = await bring(rules, data / "other/file", into, ReadWrite="true", CreateAs="File")
    assert (made.held.place, made.read_only) == (f"{data}/other/file", False)
    assert (data / "other/file").read_bytes() == b""
    (data / "other/file").write_text("kept")
    await bring(rules, data / "other/file", into, ReadWrite="true", CreateAs="file")
    assert (data / "other/file").read_text() == "kept"


async def test_what_cannot_be_made_says_why(data, into):
    with pytest.raises(StorageFailure, match="cannot be made: Not a directory"):
        await bring([f"{data}/**:rw"], data / "sub dir/file/below", into, ReadWrite=True, CreateAs="dir")
    with pytest.raises(StorageFailure, match="cannot be looked at: File name too long"):
        await bring([f"{data}/**:rw"], data / ("n" * 300), into)


async def test_a_path_taken_away_between_is_refused(data, into, tmp_path):
    source = LocalSource([f"{data}/**"])
    manifest = await source.resolve(spec(data / "sub dir"))
    (data / "sub dir").rename(data / "moved")
    (data / "sub dir").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageFailure, match="is not allowlisted"):
        await source.fetch(manifest, into, ignore)


async def test_a_place_that_jobs_may_replace_stays_what_was_permitted(data, into, tmp_path):
    (tmp_path / "secret/file").write_text("secret")
    volume = await bring([f"{data}/**:rw"], data / "sub dir", into)
    (data / "sub dir").rename(data / "moved")
    (data / "sub dir").symlink_to(tmp_path / "secret")
    assert (data / "sub dir/file").read_text() == "secret"
    assert (volume.path / "file").read_text() == "content"


@pytest.mark.parametrize(
    ("rules", "held"),
    [
        (["/**", "/elsewhere/**:rw"], False),
        (["{data}/*:rw"], False),
        (["{data}/sub dir:rw"], False),
        (["{data}/**:rw"], True),
        (["{data}:rw", "{data}/*"], True),
        (["**:rw"], True),
    ],
)
async def test_only_what_jobs_may_replace_is_held(data, into, rules, held):
    """Every engine can mount the others."""
    volume = await bring([rule.format(data=data) for rule in rules], data / "sub dir", into)
    assert (volume.held is not None, volume.path == data / "sub dir") == (held, not held)


async def test_nothing_is_made_behind_a_link_that_appears_meanwhile(data, into, tmp_path):
    source = LocalSource([f"{data}/**:rw"])
    manifest = await source.resolve(spec(data / "sub dir/new/dir", ReadWrite=True, CreateAs="dir"))
    (data / "sub dir").rename(data / "moved")
    (data / "sub dir").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageFailure, match="is not allowlisted"):
        await source.fetch(manifest, into, ignore)
    assert os.listdir(tmp_path / "secret") == []


async def test_a_bad_spec_is_refused(data):
    with pytest.raises(BadRequest, match="field 'SourcePath'"):
        await LocalSource(["**"]).resolve(SpecConfig(type="local", params={"SourcePath": []}))
