"""Inputs that travel inside the job, on a real disk."""

import base64
import gzip
import io
import os
import tarfile

import pytest

from bacalhau.border.archive import pack
from bacalhau.lib.errors import BadRequest, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.inline.source import InlineSource
from bacalhau.ports.progress import Step


def spec(data, media="text/plain"):
    return SpecConfig(type="inline", params={"URL": f"data:{media};base64,{base64.b64encode(data).decode()}"})


async def bring(source, into):
    steps = []
    into.mkdir(exist_ok=True)
    inline = InlineSource()
    await inline.check()
    manifest = await inline.resolve(source)
    return manifest, await inline.fetch(manifest, into, steps.append), steps


def archive(*members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


async def test_a_file_is_the_volume_itself(tmp_path):
    data = os.urandom(3000)
    manifest, volume, steps = await bring(spec(data, "image/png"), tmp_path / "in")
    assert (volume.path.read_bytes(), volume.path.stat().st_mode & 0o777) == (data, 0o644)
    assert volume.read_only
    assert [(entry.size, entry.path) for entry in manifest.entries] == [(3000, volume.path.name)]
    assert os.listdir(tmp_path / "in") == [volume.path.name]
    assert steps == [Step("staging", 1, 1, 3000, 3000)]


async def test_an_empty_file(tmp_path):
    _, volume, _ = await bring(SpecConfig(type="Inline", params={"url": "data:,"}), tmp_path / "in")
    assert volume.path.read_bytes() == b""


async def test_an_archive_becomes_a_folder(tmp_path):
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/big").write_bytes(bytes(3 << 20))
    (tmp_path / "tree/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "tree/run.sh").chmod(0o755)
    (tmp_path / "tree/link").symlink_to("sub/big")
    manifest, volume, _ = await bring(spec(b"".join(pack(tmp_path / "tree")), "application/gzip"), tmp_path / "in")
    assert sorted(os.listdir(volume.path)) == ["link", "run.sh", "sub"]
    assert (volume.path / "link").stat().st_size == 3 << 20
    assert (volume.path / "run.sh").stat().st_mode & 0o777 == 0o755
    assert 3 << 20 <= manifest.size <= (3 << 20) + 20_000
    assert os.listdir(tmp_path / "in") == [volume.path.name]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (archive((tarfile.TarInfo("../up"), b"x")), "would leave its folder"),
        (archive((tarfile.TarInfo("/etc/up"), b"x")), "would leave its folder"),
        (archive(link("way", "/etc")), "symlinks that lead out of it: way"),
        (archive(link("way", "a"), (tarfile.TarInfo("way/x"), b"x")), "through a symlink"),
        (archive((tarfile.TarInfo("a"), os.urandom(9000)))[:-4000], "damaged"),
        (gzip.compress(b"no archive" * 100), "damaged"),
        (b"", "damaged"),
        (b"no gzip at all", "damaged"),
    ],
    ids=["parent", "absolute", "symlink out", "through a symlink", "cut off", "no archive", "empty", "no gzip"],
)
async def test_bad_archives_are_refused(tmp_path, data, problem):
    with pytest.raises(StorageFailure, match=problem) as failed:
        await bring(spec(data, "application/gzip"), tmp_path / "in")
    assert not failed.value.retryable
    assert not (tmp_path / "up").exists()


async def test_a_disk_that_refuses_says_so(tmp_path):
    inline = InlineSource()
    manifest = await inline.resolve(spec(b"x"))
    with pytest.raises(StorageFailure, match=r"could not be written to .*gone: No such file"):
        await inline.fetch(manifest, tmp_path / "gone", lambda step: None)


async def test_a_bad_url_is_refused():
    with pytest.raises(BadRequest, match="is not a data URL"):
        await InlineSource().resolve(SpecConfig(type="inline", params={"URL": "http://h/f"}))
