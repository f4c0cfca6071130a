"""Names of results on disks that take some of them for one."""

import os

import pytest

from bacalhau.border.folding import DistinctNames, folds_names
from bacalhau.lib.errors import StorageFailure

PAIRS = [("Data", "data"), ("a/\u00e9", "a/e\u0301"), ("STRASSE", "stra\u00dfe")]


@pytest.mark.parametrize("pair", PAIRS)
def test_names_that_would_replace_one_another(tmp_path, pair):
    names = DistinctNames(tmp_path, folds=lambda folder: True)
    for name in ("other", pair[0], pair[0]):
        names.add(name)
    with pytest.raises(StorageFailure, match="are one name on the disk of"):
        names.add(pair[1])


@pytest.mark.parametrize("pair", PAIRS)
def test_what_the_disk_does_decides(tmp_path, pair):
    for name in pair:
        (tmp_path / "tried" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tried" / name).write_text(name)
    are_one = len([file for *_, files in os.walk(tmp_path / "tried") for file in files]) == 1
    names = DistinctNames(tmp_path / "new")
    names.add(pair[0])
    if are_one:
        with pytest.raises(StorageFailure):
            names.add(pair[1])
    else:
        names.add(pair[1])
    assert folds_names(tmp_path) >= are_one and os.listdir(tmp_path / "new") == []
