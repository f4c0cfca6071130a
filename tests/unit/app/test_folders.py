"""Folders of the state, whatever they were before."""

from bacalhau.app.folders import make_private
from bacalhau.app.identity import load_identity


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_folder_and_an_open_one_of_an_earlier_version_are_closed(tmp_path):
    new, old = tmp_path / "a/new", tmp_path / "old"
    old.mkdir()
    old.chmod(0o755)
    (old / "outputs").mkdir()
    (old / "outputs").chmod(0o777)
    assert [make_private(new), make_private(old)] == [new, old]
    assert (mode(new), mode(old), mode(old / "outputs")) == (0o700, 0o700, 0o777)


def test_a_stricter_folder_stays_as_it_is(tmp_path):
    (tmp_path / "strict").mkdir(mode=0o500)
    assert mode(make_private(tmp_path / "strict")) == 0o500


def test_a_new_data_directory_is_this_users_alone(tmp_path):
    load_identity(tmp_path / "data")
    assert (mode(tmp_path / "data"), mode(tmp_path / "data/node.json")) == (0o700, 0o600)
