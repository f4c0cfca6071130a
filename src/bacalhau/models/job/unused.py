"""Parameters of a job that say nothing to the engine, source or publisher that they are given to."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig


class Tell(Protocol):
    """The test of the parameters of one type."""

    def __call__(self, spec: SpecConfig, place: str) -> list[str]:
        """Tell of the parameters of a spec that are ignored, and of the place where they stand."""
        ...


Unused = Mapping[str, Tell]
"""By lower-case type."""


class ParamNames(NamedTuple):
    """The tests of parameters, by type. A type that is not there has none that could be told."""

    engines: Unused = {}
    sources: Unused = {}
    publishers: Unused = {}


NO_NAMES = ParamNames()


def unused_params(job: Job, names: ParamNames) -> list[str]:
    """List a warning for each parameter of a job that is ignored."""
    return [
        text
        for spec, known, place in _specs(job, names)
        if (tell := known.get(spec.kind))
        for text in tell(spec, f"Job.Tasks[0].{place}.Params")
    ]


def _specs(job: Job, names: ParamNames) -> Iterator[tuple[SpecConfig, Unused, str]]:
    task = job.task
    yield task.engine, names.engines, "Engine"
    for number, item in enumerate(task.input_sources or ()):
        yield item.source, names.sources, f"InputSources[{number}].Source"
    if task.publisher is not None:
        yield task.publisher, names.publishers, "Publisher"
