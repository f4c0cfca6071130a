"""Modes of inputs, and mounts that lie below one another."""

import os
import stat

import pytest

from bacalhau.compute.execution.mounts import make_mount_points, open_copy
from bacalhau.lib.errors import StorageFailure
from bacalhau.ports.engine import Mount


@pytest.fixture
def own(tmp_path):
    """The folder of an execution, with a folder and a file of its own; beside it a folder of the node."""
    for name in ("own/data", "own/result/outputs", "node"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "own/file").write_text("1")
    (tmp_path / "node/there").mkdir()
    return tmp_path / "own"


def modes(folder):
    return {path.name: oct(stat.S_IMODE(path.lstat().st_mode)) for path in (folder, *folder.rglob("*"))}


def test_a_copy_is_open_for_every_user_whatever_the_umask_and_the_source_said(tmp_path):
    old = os.umask(0o077)
    try:
        folder = tmp_path / "copy"
        (folder / "sub").mkdir(parents=True)
        (folder / "sub/data").write_text("1")
        (folder / "program").write_text("1")
    finally:
        os.umask(old)
    (folder / "program").chmod(0o700)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    outside.chmod(0o600)
    (folder / "link").symlink_to(outside)
    open_copy(folder)
    found = modes(folder)
    assert (found["copy"], found["sub"], found["data"], found["program"]) == ("0o777", "0o777", "0o644", "0o755")
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


def test_a_copy_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(StorageFailure, match="input link is a symbolic link"):
        open_copy(tmp_path / "link")


def test_a_mount_below_one_of_the_tasks_own_gets_a_place_there(own):
    mounts = (
        Mount(own / "file", "/deep/x/y/file", False),
        Mount(own / "result/outputs", "/deep//x/y/out/", False),
        Mount(own / "data", "/deep/x", False),
    )
    make_mount_points(mounts, (own,))
    assert modes(own / "data") == {"data": modes(own / "data")["data"], "y": "0o777", "file": "0o644", "out": "0o777"}


@pytest.mark.parametrize(
    ("inner", "outer", "says"),
    [
        ("data", "file", "/out/in lies below /out, where it is a file"),
        ("file", "result", "/out/in lies below /out, where in is a folder"),
        ("data", "linked", "/out/in lies below /out, where in is a symbolic link"),
        ("data", "../node", "/out/in lies below /out, where in is not there"),
    ],
)
def test_a_mount_that_has_no_place_is_refused_by_both_names(own, inner, outer, says):
    (own / "result/in").mkdir()
    (own / "linked").mkdir()
    (own / "linked/in").symlink_to(own / "data")
    place = (own / outer).resolve()
    with pytest.raises(StorageFailure) as failed:
        make_mount_points((Mount(own / inner, "/out/in", False), Mount(place, "/out", True)), (own,))
    assert failed.value.message == says
    assert "choose targets that do not lie below one another" in failed.value.hint
    assert ("on the node" in failed.value.hint) is (outer == "../node")


def test_nothing_is_made_in_a_folder_of_the_node_and_what_is_there_is_used(own):
    node = own.parent / "node"
    make_mount_points((Mount(own / "data", "/in/there", False), Mount(node, "/in", True)), (own,))
    assert [path.name for path in node.iterdir()] == ["there"]
