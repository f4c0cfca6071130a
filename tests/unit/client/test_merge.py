"""Results become one directory, or nothing is touched."""

import pytest

from bacalhau.client.merge import apply_merge, plan_merge
from bacalhau.lib.errors import Conflict


@pytest.fixture
def trees(tmp_path):
    def make(number, **outputs):
        tree = tmp_path / f"tree{number}"
        (tree / "outputs" / "empty").mkdir(parents=True)
        for name, text in {"stdout": f"out{number}\n", "stderr": "", "exitCode": "0"}.items():
            (tree / name).write_text(text)
        for name, text in outputs.items():
            (tree / "outputs" / name).write_text(text)
        return tree

    return make


@pytest.fixture
def into(tmp_path):
    path = tmp_path / "results"
    path.mkdir()
    return path


def everything(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_one_result_moves_as_it_is(trees, into):
    tree = trees(1, a="1", b="2")
    (tree / "link").symlink_to("outputs")
    apply_merge(plan_merge([tree], into))
    assert everything(into) == {"stdout": "out1\n", "stderr": "", "exitCode": "0", "outputs/a": "1", "outputs/b": "2"}
    assert (into / "outputs/empty").is_dir() and (into / "link").is_symlink()
    assert everything(tree) == {}


def test_several_results_join_their_streams_in_order(trees, into):
    first, second = trees(1, a="1"), trees(2, b="2")
    apply_merge(plan_merge([first, second], into))
    assert everything(into) == {
        "stdout": "out1\nout2\n",
        "stderr": "",
        "exitCode": "00",
        "outputs/a": "1",
        "outputs/b": "2",
    }
    assert everything(first) == everything(second) == {}


def test_two_results_with_one_file_are_refused_before_anything_moves(trees, into):
    with pytest.raises(Conflict, match=r"output already exists: .*/results/outputs/a\. Try --raw"):
        plan_merge([trees(1, a="1"), trees(2, a="2")], into)
    assert everything(into) == {}


@pytest.mark.parametrize("held", ["exitCode", "stdout", "outputs/a"])
def test_what_is_there_stays(trees, into, held):
    (into / "outputs").mkdir()
    (into / held).write_text("mine")
    with pytest.raises(Conflict, match=f"output already exists: {into / held}"):
        plan_merge([trees(1, a="1")], into)


def test_a_file_in_place_of_a_folder_is_a_conflict(trees, into):
    (into / "outputs").write_text("mine")
    with pytest.raises(Conflict, match=str(into / "outputs")):
        plan_merge([trees(1)], into)


def test_folders_join(trees, into):
    (into / "outputs").mkdir()
    (into / "outputs/mine").write_text("kept")
    apply_merge(plan_merge([trees(1, a="1")], into))
    assert everything(into / "outputs") == {"mine": "kept", "a": "1"}
