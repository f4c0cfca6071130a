"""Paths that are opened without following links, and stay what they were."""

import errno
import os
import threading

import pytest

from bacalhau.border.places import CreateAs, hold_place


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data/x/deep").mkdir(parents=True)
    (tmp_path / "data/x/deep/f").write_text("right")
    (tmp_path / "secret/deep").mkdir(parents=True)
    (tmp_path / "secret/deep/f").write_text("secret")
    return tmp_path / "data"


def read(held):
    return (held.path / "f").read_text()


def test_what_is_held_stays_when_its_path_leads_elsewhere(data, tmp_path):
    held = hold_place(str(data / "x/deep"))
    (data / "x").rename(data / "moved")
    (data / "x").symlink_to(tmp_path / "secret")
    assert (data / "x/deep/f").read_text() == "secret"
    assert (read(held), held.place) == ("right", f"{data}/x/deep")


@pytest.mark.parametrize("create", CreateAs)
@pytest.mark.parametrize("link", ["x", "x/deep"])
def test_no_link_is_followed_wherever_it_stands_and_nothing_is_made_behind_it(data, tmp_path, link, create):
    (data / link).rename(tmp_path / "moved")
    (data / link).symlink_to(tmp_path / "secret")
    for path in (data / "x/deep", data / "x/deep/new"):
        with pytest.raises(OSError) as failed:
            hold_place(str(path), create)
        assert (failed.value.errno, failed.value.filename) == (errno.ELOOP, f"{data / link}")
    assert sorted(p.name for p in (tmp_path / "secret").rglob("*")) == ["deep", "f"]


def test_what_is_missing_is_made_for_this_user_alone(data):
    held = hold_place(str(data / "new/er/file"), CreateAs.FILE)
    assert (held.path.read_bytes(), held.mode & 0o777) == (b"", 0o600)
    assert hold_place(str(data / "new/er"), CreateAs.DIR).mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        hold_place(str(data / "none"))


def test_a_descriptor_is_closed_with_its_last_user(data):
    held = hold_place(str(data))
    descriptor = held.descriptor
    del held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_folder_that_changes_all_the_time_is_opened_right_or_not_at_all(data, tmp_path):
    """Somebody replaces a folder by a link and back, as fast as the disk allows."""
    inside = os.stat(data / "x/deep").st_ino
    (data / "link").symlink_to(tmp_path / "secret")
    over = threading.Event()

    def change():
        while not over.is_set():
            (data / "x").rename(data / "away")
            (data / "link").rename(data / "x")
            (data / "x").rename(data / "link")
            (data / "away").rename(data / "x")

    other = threading.Thread(target=change)
    other.start()
    refused = found = 0
    try:
        while not (refused > 20 and found > 20):
            try:
                held = hold_place(str(data / "x/deep"))
            except OSError as e:
                assert e.errno in (errno.ELOOP, errno.ENOENT)
                refused += 1
            else:
                assert os.fstat(held.descriptor).st_ino == inside
                found += 1
    finally:
        over.set()
        other.join()
