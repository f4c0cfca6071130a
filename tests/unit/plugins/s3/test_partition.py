"""Who gets which object: rows that the original produces, and the rules behind them."""

import pytest

from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.objects.partition import fnv1a, pick_share
from bacalhau.plugins.objects.shares import PartitionParams
from bacalhau.plugins.s3.params import S3SourceParams
from bacalhau.ports.storage import Entry, Partition


def shares(keys, count, prefix="", **partition):
    """What each execution gets."""
    params = S3SourceParams(bucket="b", key=f"{prefix}*", partition=PartitionParams(**partition))
    entries = tuple(Entry(key, key, 1) for key in keys)
    return [[entry.key for entry in pick_share(params, entries, Partition(index, count))] for index in range(count)]


def names(keys, count, prefix="", **partition):
    return [
        "".join(key.removeprefix(prefix).split(".")[0] for key in share)
        for share in shares(keys, count, prefix, **partition)
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0x811C9DC5),
        ("1", 873244444),
        ("00", 569209421),
        ("10", 468396612),
        ("file1.txt", 1035260656),
        ("2024-01-15", 1396065120),
    ],
)
def test_the_hash(text, value):
    assert fnv1a(text) == value


def test_by_object_the_whole_key_counts():
    root = "integration-tests-do-not-delete/"
    keys = [f"{root}set1/{name}.txt" for name in ("001", "002", "101", "102")]
    assert shares(keys, 2, root, type="object") == [[keys[1], keys[2]], [keys[0], keys[3]]]
    letters = [f"uploads/{letter}.txt" for letter in "abcdef"]
    assert names(letters, 3, "uploads/", type="Object") == ["ce", "af", "bd"]
    assert names(letters, 2, "uploads/", type="object") == ["bdf", "ace"]


@pytest.mark.parametrize("how", [{"type": "regex", "pattern": "(a+)+$"}, {"type": "date", "date_format": "1" * 250}])
def test_a_pattern_that_would_backtrack_for_ever_answers(how):
    keys = ["a" * 5000 + "!", "1" * 249 + "x"]
    assert sorted(key for share in shares(keys, 2, **how) for key in share) == sorted(keys)


def test_by_regex_groups_or_the_whole_match():
    regions = {"eu": 3, "us": 1, "ap": 0, "af": 2}
    got = shares([f"regions/{region}/x" for region in regions], 4, "regions/", type="regex", pattern="([^/]+)/.*")
    assert got == [[f"regions/{region}/x" for region in regions if regions[region] == index] for index in range(4)]
    keys = ["p/b-1", "p/c-2", "p/none"]
    owner = {
        key: index
        for index, share in enumerate(shares(keys, 5, "p/", type="regex", pattern=r"([a-z])-(\d)"))
        for key in share
    }
    assert owner == {"p/b-1": fnv1a("b\x1f1") % 5, "p/c-2": fnv1a("c\x1f2") % 5, "p/none": 0}
    assert shares(["p/ab"], 5, "p/", type="regex", pattern=r"b|z()")[fnv1a("b") % 5] == ["p/ab"]
    assert shares(["p/ab"], 5, "p/", type="regex", pattern="q*")[0] == ["p/ab"]


def test_by_substring_in_characters_short_keys_to_the_first():
    keys = [f"set1/{name}.txt" for name in ("001", "002", "101", "102")]
    assert names(keys, 2, "set1/", type="substring", start_index=2, end_index=3) == ["001101", "002102"]
    got = shares(["p/ü", "p/üx", "p/xx"], 11, "p/", type="substring", start_index=0, end_index=2)
    assert got[0] == ["p/ü"] and fnv1a("üx") % 11
    assert "p/üx" in got[fnv1a("üx") % 11]


def test_by_date():
    keys = [f"logs/2024-01-{day:02}/x" for day in range(1, 8)]
    got = shares([*keys, "logs/latest", "logs/2024-02-30/x"], 7, "logs/", type="date", date_format="2006-01-02")
    owner = {key: index for index, share in enumerate(got) for key in share}
    assert [owner[key] for key in keys] == [5, 4, 2, 6, 4, 3, 1]
    assert owner["logs/latest"] == owner["logs/2024-02-30/x"] == 0


def test_nothing_is_divided_without_a_type_or_among_one():
    keys = ["a", "b"]
    assert shares(keys, 3) == shares(keys, 3, type="None") == [keys] * 3
    assert shares(keys, 1, type="object") == [keys]


def test_a_job_without_a_count_cannot_be_divided_but_read_everything():
    entries = (Entry("a", "a", 1),)
    assert pick_share(S3SourceParams(bucket="b"), entries, Partition(0, 0)) == entries
    with pytest.raises(StorageFailure, match="partition type object needs a job that is divided by its Count"):
        pick_share(S3SourceParams(bucket="b", partition=PartitionParams(type="object")), entries, Partition(0, 0))
