"""One folder as one archive and back, also when the archive means harm."""

import asyncio
import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from bacalhau.border.archive import Limits, pack, stream, tree_size, unpack, unpack_async
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


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_other_kinds_are_refused(tmp_path, kind):
    archive = write(tmp_path / "a.tar.gz", ("odd", kind, "stdout", b""))
    with pytest.raises(StorageFailure, match="is a device or pipe"):
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


def header(name, kind, size):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def pressed(path, *pieces):
    with gzip.open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)
    return path


def test_a_hard_link_inside_the_archive_becomes_a_copy(tmp_path):
    archive = write(
        tmp_path / "a.tar.gz", ("dir/one", tarfile.REGTYPE, "", b"same"), ("two", tarfile.LNKTYPE, "dir/one", b"")
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/two").read_bytes() == b"same"
    assert (tmp_path / "out/two").stat().st_nlink == 1


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "lead/secret", "pipe", "none"])
def test_a_hard_link_reaches_nothing_but_files_of_the_archive(tmp_path, target):
    (tmp_path / "secret").write_text("s")
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "pipe")
    archive = write(
        tmp_path / "a.tar.gz",
        ("keep/x", tarfile.REGTYPE, "", b""),
        ("lead", tarfile.SYMTYPE, "keep", b""),
        ("two", tarfile.LNKTYPE, target, b""),
    )
    with pytest.raises(StorageFailure):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out/two").exists()


def sparse(path, form):
    """One member that says it has a tebibyte, in each of the forms that tar knows."""
    if form == "gnu":
        block = bytearray(header("hole", tarfile.GNUTYPE_SPARSE, 0))
        block[386:410] = b"00000000000\0" * 2
        block[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return pressed(path, bytes(block), bytes(1024))
    keys = {
        "0.0": {"GNU.sparse.size": str(1 << 40), "GNU.sparse.numblocks": "0"},
        "0.1": {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,0"},
        "1.0": {"GNU.sparse.realsize": str(1 << 40), "GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    }[form]
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("hole")
        info.pax_headers = keys
        tar.addfile(info)
    return path


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_a_sparse_member_is_refused_before_it_takes_room(tmp_path, form):
    with pytest.raises(StorageFailure, match="sparse"):
        unpack(sparse(tmp_path / "a.tar.gz", form), tmp_path / "out")
    assert not (tmp_path / "out/hole").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_a_gigabyte_is_never_read(tmp_path, kind):
    archive = pressed(tmp_path / "a.tar.gz", header("h", kind, 1 << 30), bytes(4096))
    with pytest.raises(StorageFailure, match="headers larger"):
        unpack(archive, tmp_path / "out")


def test_many_headers_in_a_row_and_many_global_ones_are_refused(tmp_path):
    record = b"20 comment=01234567\n".ljust(512, b"\0")
    one = header("h", tarfile.XHDTYPE, 20) + record
    with pytest.raises(StorageFailure, match="headers larger"):
        unpack(pressed(tmp_path / "a.tar.gz", one * 2000), tmp_path / "out")
    block = b"1000000 comment=" + b"x" * (1_000_000 - 17) + b"\n"
    padded = block + bytes(-len(block) % 512)
    spread = (header("h", tarfile.XGLTYPE, len(block)) + padded + header("f", tarfile.REGTYPE, 0)) * 3
    with pytest.raises(StorageFailure, match="headers larger"):
        unpack(pressed(tmp_path / "b.tar.gz", spread), tmp_path / "out")


@pytest.mark.parametrize("place", ["file", "end"])
def test_more_bytes_than_allowed_are_refused_wherever_they_stand(tmp_path, place):
    size = 8 << 20
    pieces = (header("f", tarfile.REGTYPE, size), bytes(size)) if place == "file" else (bytes(1024), bytes(size))
    archive = pressed(tmp_path / "a.tar.gz", *pieces)
    assert archive.stat().st_size < 20_000
    with pytest.raises(StorageFailure, match=r"a\.tar\.gz holds more than 4\.0 MB"):
        unpack(archive, tmp_path / "out", limits=Limits(4_000_000))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 4_000_000


def test_more_members_than_allowed_are_refused(tmp_path):
    archive = write(tmp_path / "a.tar.gz", *((f"f{n}", tarfile.REGTYPE, "", b"") for n in range(11)))
    with pytest.raises(StorageFailure, match="more than 10 members"):
        unpack(archive, tmp_path / "out", limits=Limits(members=10))


def test_copies_of_hard_links_count(tmp_path):
    links = [(f"l{n}", tarfile.LNKTYPE, "f", b"") for n in range(50)]
    archive = write(tmp_path / "a.tar.gz", ("f", tarfile.REGTYPE, "", bytes(1 << 20)), *links)
    with pytest.raises(StorageFailure, match="holds more than"):
        unpack(archive, tmp_path / "out", limits=Limits(4 << 20))


async def test_a_cancelled_caller_leaves_when_the_thread_has_ended(tmp_path):
    size = 1 << 33
    archive, out = tmp_path / "a.tar.gz", tmp_path / "out"
    block = gzip.compress(bytes(1 << 24), 9)
    archive.write_bytes(gzip.compress(header("f", tarfile.REGTYPE, size)) + block * (size >> 24))
    work = asyncio.ensure_future(unpack_async(archive, out))
    while not (out / "f").exists():
        await asyncio.wait({work}, timeout=0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    reached = (out / "f").stat().st_size
    assert reached < size
    await asyncio.to_thread(out.exists)
    assert (out / "f").stat().st_size == reached


def test_holes_of_sparse_files_do_not_count_where_they_are_packed(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert tree_size(tmp_path) > 1 << 40
    assert tree_size(tmp_path, with_holes=False) < 100_000
