"""One folder as one archive and back, also when the archive means harm."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from bacalhau.lib.archive import pack, stream, tree_size, unpack
from bacalhau.lib.errors import NotFound, StorageFailure


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "tree"
    (made / "outputs" / "empty").mkdir(parents=True)
    (made / "stdout").write_text("hello\n")
    (made / "outputs" / ("long" * 40)).write_bytes(os.urandom(3 << 20))
    (made / "outputs" / "ünï").write_text("x")
    (made / "outputs" / "run").write_text("#!")
    (made / "outputs" / "run").chmod(0o755)
    (made / "outputs" / "link").symlink_to("../stdout")
    os.mkfifo(made / "outputs" / "pipe")
    return made


def write(path: Path, *members: tuple[str, bytes, str, bytes]) -> Path:
    """(name, type, link target, content)"""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, target, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_same_tree_gives_the_same_bytes(folder):
    first = b"".join(pack(folder))
    os.utime(folder / "stdout", (1, 1))
    assert b"".join(pack(folder)) == first
    assert len(first) < tree_size(folder) + 10240


async def test_the_async_face_gives_the_same(folder):
    assert b"".join([piece async for piece in stream(folder)]) == b"".join(pack(folder))


def test_there_and_back(folder, tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"".join(pack(folder)))
    into = tmp_path / "back"
    for _ in range(2):
        assert unpack(archive, into) == []
    assert names(into) == names(folder) - {"outputs/pipe"}
    assert (into / "outputs" / "run").stat().st_mode & 0o777 == 0o755
    assert os.readlink(into / "outputs" / "link") == "../stdout"
    listed = subprocess.run(["tar", "tzf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [name.rstrip("/") for name in listed[:2]] == ["outputs", "outputs/empty"]


def test_only_a_part(folder, tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"".join(pack(folder)))
    unpack(archive, tmp_path / "one", only="stdout")
    unpack(archive, tmp_path / "two", only="/outputs/empty/".strip("/"))
    assert (names(tmp_path / "one"), names(tmp_path / "two")) == ({"stdout"}, {"outputs", "outputs/empty"})
    with pytest.raises(NotFound, match="the result has no std"):
        unpack(archive, tmp_path / "three", only="std")


@pytest.mark.parametrize("name", ["../up", "/etc/absolute", "a/../../up", "a/.."])
def test_members_that_leave_the_folder_are_refused(tmp_path, name):
    archive = write(tmp_path / "a.tar.gz", (name, tarfile.REGTYPE, "", b"x"))
    with pytest.raises(StorageFailure, match="would leave its folder"):
        unpack(archive, tmp_path / "into")
    assert not (tmp_path / "up").exists()


def test_nothing_is_written_through_a_symlink(tmp_path):
    archive = write(
        tmp_path / "a.tar.gz",
        ("d", tarfile.DIRTYPE, "", b""),
        ("l", tarfile.SYMTYPE, "d", b""),
        ("l/x", tarfile.REGTYPE, "", b"x"),
    )
    with pytest.raises(StorageFailure, match="through a symlink"):
        unpack(archive, tmp_path / "into")


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../..", "a/../..", "d/../d", ""])
def test_links_that_point_outside_are_left_out(tmp_path, target):
    archive = write(tmp_path / "a.tar.gz", ("l", tarfile.SYMTYPE, target, b""), ("stdout", tarfile.REGTYPE, "", b"x"))
    assert unpack(archive, tmp_path / "into") == ["l"]
    assert names(tmp_path / "into") == {"stdout"}


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_other_kinds_are_refused(tmp_path, kind):
    archive = write(tmp_path / "a.tar.gz", ("odd", kind, "stdout", b""))
    with pytest.raises(StorageFailure, match="neither file, directory nor symlink"):
        unpack(archive, tmp_path / "into")


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-2000],
        lambda body: b"no archive at all",
        lambda body: body[:5000] + b"zzzz" + body[5004:],
        lambda body: body[:-8] + bytes(8),
        lambda body: b"",
    ],
)
def test_damaged_archives(folder, tmp_path, damage):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(damage(b"".join(pack(folder))))
    with pytest.raises(StorageFailure, match=r"a\.tar\.gz is damaged"):
        unpack(archive, tmp_path / "into")
