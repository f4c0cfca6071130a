"""Results of one job that would take the same key: refused where they replace one another at once, else a warning."""

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.overlap import list_overlaps
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.registry import own_plugins
from bacalhau.plugins.uris import parse_publisher

CHECKS = plugin_checks(own_plugins())


def found(publisher, kind="batch", count=1):
    """How many problems and warnings there are."""
    task = Task(name="main", engine=SpecConfig(type="noop"), publisher=publisher)
    everywhere = kind in ("ops", "daemon")
    job = Job(type=kind, count=None if everywhere else count, tasks=(task,))
    return list_overlaps(job, CHECKS.overlaps)


@pytest.mark.parametrize(
    ("key", "kind", "count", "problems", "warnings"),
    [
        ("k", "batch", 1, 0, 1),
        ("k/{jobID}", "batch", 1, 0, 0),
        ("k/{date}/{time}", "batch", 1, 0, 1),
        ("k", "batch", 2, 1, 0),
        ("k/{jobID}", "batch", 2, 1, 0),
        ("k/{executionID}", "batch", 2, 0, 0),
        ("k/{nodeID}", "batch", 2, 1, 0),
        ("k/", "service", 3, 1, 0),
        ("k/{jobID}", "ops", 1, 1, 0),
        ("k/{nodeID}", "ops", 1, 0, 0),
        ("k/{executionID}/x", "daemon", 1, 0, 0),
    ],
)
def test_which_results_replace_one_another(key, kind, count, problems, warnings):
    publisher = parse_publisher(f"s3://b/{key}")
    assert tuple(map(len, found(publisher, kind, count))) == (problems, warnings)
    said = parse_publisher(f"s3://b/{key},opt=overwrite=true")
    assert found(said, kind, count) == ([], [])
    assert CHECKS.publishers["s3"](said) == []


def test_the_message_names_the_key_the_cure_and_the_option():
    (problem,), _ = found(parse_publisher("s3://b/k"), count=2)
    assert problem == (
        "s3 key 'k' is the same for results of the partitions of the job, which replace one another: put {executionID}"
        " into it, or set Overwrite: true (-p s3://…,opt=overwrite=true)"
    )


def test_other_publishers_have_a_place_for_each_result():
    assert found(SpecConfig(type="ipfs"), count=9) == ([], [])
    assert found(SpecConfig(type="s3managed"), "ops") == ([], [])


def test_overwrite_is_true_or_false():
    with pytest.raises(BadRequest, match="overwrite"):
        parse_publisher("s3://b/k,opt=overwrite=maybe")
    spec = SpecConfig(type="s3", params={"Bucket": "b", "Key": "k", "Overwrite": "maybe"})
    (problem,) = CHECKS.publishers["s3"](spec)
    assert "Overwrite" in problem
