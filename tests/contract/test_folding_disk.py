"""Results on a disk that takes names for one which differ in case: exFAT, as memory sticks have it."""

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bacalhau.border.archive import unpack
from bacalhau.border.folding import folds_names
from bacalhau.border.tar import Member, join
from bacalhau.client.merge import plan_merge
from bacalhau.lib.errors import Conflict, StorageFailure

SIZE = 16 << 20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on exFAT, whose driver runs as long as it is mounted."""
    image, folder = (tmp_path_factory.mktemp("exfat") / name for name in ("image", "disk"))
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    made = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", device, folder], check=True, capture_output=True)
        yield folder
        subprocess.run(["umount", folder], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def archive_of(folder: Path, *names: str) -> Path:
    made = folder / "archive"
    made.write_bytes(gzip.compress(join([(Member(name, len(name), 0o644), name.encode()) for name in names])))
    return made


def test_the_disk_is_found_out(disk: Path, tmp_path: Path) -> None:
    assert (folds_names(disk), folds_names(tmp_path)) == (True, False)


def test_an_archive_whose_names_are_one_on_the_disk_is_refused(disk: Path, tmp_path: Path) -> None:
    twins = archive_of(tmp_path, "outputs/Data", "outputs/data")
    with pytest.raises(StorageFailure, match="'outputs/Data' and 'outputs/data' are one name on the disk of"):
        unpack(twins, disk / "refused")
    unpack(twins, tmp_path / "told-apart")
    assert sorted(path.name for path in (tmp_path / "told-apart/outputs").iterdir()) == ["Data", "data"]


def test_other_archives_arrive(disk: Path, tmp_path: Path) -> None:
    unpack(archive_of(tmp_path, "outputs/Data", "outputs/more/data"), disk / "whole")
    assert (disk / "whole/outputs/more/data").read_text() == "outputs/more/data"
    assert (disk / "WHOLE/outputs/DATA").read_text() == "outputs/Data"


def test_what_is_there_is_not_replaced_by_a_name_in_another_case(disk: Path, tmp_path: Path) -> None:
    (disk / "mine").mkdir()
    (disk / "mine/Notes").write_text("mine")
    result = tmp_path / "result"
    result.mkdir()
    (result / "NOTES").write_text("theirs")
    with pytest.raises(Conflict, match="NOTES"):
        plan_merge([result], disk / "mine")
