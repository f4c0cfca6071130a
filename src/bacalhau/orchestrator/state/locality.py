"""The nodes that hold the inputs of unfinished jobs, by their own words. Kept in memory: a new process asks anew."""

from collections.abc import Iterable
from typing import NamedTuple

from bacalhau.lib.aio import Signal
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.orchestrator.scheduling.view import NOT_TOLD, Holders


class Question(NamedTuple):
    """A question about one version of a job: which of its `sources` these `nodes` have."""

    version: int
    sources: tuple[SpecConfig, ...]
    nodes: frozenset[str]


class _Told(NamedTuple):
    """`asked`: also those that did not answer."""

    version: int
    asked: frozenset[str]
    holders: Holders


class Locality:
    """A question is open until its answers are noted; looking at its job meanwhile asks nothing anew."""

    def __init__(self) -> None:
        self.signal = Signal()
        self._told: dict[str, _Told] = {}
        self._waiting: dict[str, Question] = {}
        self._asking: dict[str, Question] = {}

    def holders(self, job: Job) -> Holders:
        told = self._told.get(job.id) if job.task.input_sources else None
        return told.holders if told is not None and told.version == job.version else NOT_TOLD

    def unasked(self, job: Job, nodes: Iterable[str]) -> frozenset[str]:
        told = self._told.get(job.id)
        asked = told.asked if told is not None and told.version == job.version else frozenset()
        return frozenset(node_id for node_id in nodes if node_id not in asked)

    def put(self, job_id: str, question: Question) -> None:
        if job_id not in self._asking:
            self._waiting[job_id] = question
            self.signal.fire()

    def take(self, limit: int) -> dict[str, Question]:
        """Questions of about `limit` sources together, those that wait longest first."""
        count = 0
        for job_id in list(self._waiting):
            self._asking[job_id] = self._waiting.pop(job_id)
            count += len(self._asking[job_id].sources)
            if count >= limit:
                break
        return dict(self._asking)

    def note(self, job_id: str, asked: frozenset[str], holders: Holders) -> None:
        """Adds to what others told of the same version before; nothing when the job has ended meanwhile."""
        question = self._asking.pop(job_id, None)
        if question is None:
            return
        before = self._told.get(job_id)
        if before is not None and before.version == question.version:
            asked, holders = (
                before.asked | asked,
                Holders({**before.holders.held, **holders.held}, {**before.holders.lacking, **holders.lacking}),
            )
        self._told[job_id] = _Told(question.version, asked, holders)

    def forget(self, job_id: str) -> None:
        """The job has ended."""
        for known in (self._told, self._waiting, self._asking):
            known.pop(job_id, None)
