"""Results of one job that would take the same place, so that one replaces the other."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.spec import SpecConfig

ONCE, PARTS, NODES = "once", "parts", "nodes"
"""How many results a version of a job has: one; one a partition; one a node."""


class PublisherUse(NamedTuple):
    """A publisher and how many results of one job it gets: ONCE, PARTS or NODES."""

    publisher: SpecConfig
    results: str


class OverlapCheck(Protocol):
    """A pure check of a publisher in a job."""

    def __call__(self, spec: PublisherUse) -> list[str]:
        """List the results that replace one another; empty when none do."""
        ...


OverlapChecks = Mapping[str, OverlapCheck]
"""Checks by lower-case type of publisher: which results of a job, or of the same job run again, replace one another."""


def list_overlaps(job: Job, checks: OverlapChecks) -> tuple[list[str], list[str]]:
    """List the problems and the warnings about results that replace one another. Several results of one version are a
    problem, those of a later run a warning.
    """
    publisher = job.task.publisher
    if publisher is None or not (check := checks.get(publisher.kind)):
        return [], []
    results = NODES if job.type in EVERYWHERE else PARTS if job.wanted > 1 else ONCE
    found = check(PublisherUse(publisher, results))
    return ([], found) if results == ONCE else (found, [])
