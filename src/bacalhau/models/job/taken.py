"""Inputs that are results of other jobs: what a user writes, and what the orchestrator found for it.

A user names a job. The orchestrator finds that job's published results and writes them into the parameters of the
input, as `Pinned`. They stay the same for a version of the reading job, so all its executions read the same.
"""

from collections.abc import Iterator

from msgspec import to_builtins
from msgspec.structs import replace

from bacalhau.border.names import path_fault, shorten
from bacalhau.lib.wire import Model
from bacalhau.lib.written import truth_of
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.spec import SpecConfig, read_params

KIND = "job"
PINNED = "Pinned"
MOST_RESULTS = 1000  # of one input: all of them stand in the job, and in each question about it
_PREFIX = "invalid job storage params: "


class TakenResult(Model):
    """A result that an input takes. `source` is what brings it to a node.

    `path` is the part of the result that is wanted, "" for all. `is_archive`: the source brings one archive, which is
    unpacked. `pick` is where the part stands in what was brought, "" where only the part was. `folder` is the name of
    the partition or node that made the result: where several results are taken, each stands in a folder of that name.
    """

    job_id: str
    job_version: int
    execution_id: str
    source: SpecConfig
    folder: str
    path: str = ""
    pick: str = ""
    is_archive: bool = False


class JobParams(Model):
    """The parameters of an input of type job. `job` is a name, an id or its beginning, `id` another word for it.

    `path` is the part that is wanted of each result. With `wait` the input waits for a job that is not done.
    `pinned` is the orchestrator's.
    """

    job: str = ""
    id: str = ""
    path: str = ""
    wait: bool | str = False
    pinned: tuple[TakenResult, ...] = ()

    @property
    def name(self) -> str:
        return self.job.strip() or self.id.strip()

    @property
    def waits(self) -> bool:
        return truth_of(self.wait) is True

    @property
    def below(self) -> str:
        """The path without slashes around it."""
        return "/".join(part for part in self.path.split("/") if part not in ("", "."))


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an input that takes another job's result."""
    params, problems = read_params(spec, JobParams)
    if params:
        problems += _problems(params)
    return [_PREFIX + problem for problem in problems]


def _problems(params: JobParams) -> Iterator[str]:
    if not params.name:
        yield "job cannot be empty: write it like job://NAME or job://ID"
    if params.job.strip() and params.id.strip() and params.job.strip() != params.id.strip():
        yield f"ID {shorten(params.id)!r} contradicts Job {shorten(params.job)!r}: give one of them"
    if params.below and (fault := path_fault(params.below)):
        yield f"path {shorten(params.path)!r} can be no path in a result: {fault}"
    if str(params.wait).strip() and truth_of(params.wait) is None:
        yield f"Wait must be true or false, not {params.wait!r}"


def taking_inputs(job: Job) -> Iterator[tuple[int, InputSource, JobParams]]:
    """Yield the inputs that take results of jobs, with their numbers in the task. Unreadable ones are left out."""
    for number, item in enumerate(job.task.input_sources or ()):
        if item.source.kind == KIND:
            params, _ = read_params(item.source, JobParams)
            if params is not None:
                yield number, item, params


def is_pinned(job: Job) -> bool:
    """Tell whether all results that a job takes are known."""
    return all(params.pinned for _, _, params in taking_inputs(job))


def with_pinned(source: SpecConfig, found: tuple[TakenResult, ...]) -> SpecConfig:
    """Write the results that were found into an input; none take what is there away."""
    params = {key: value for key, value in (source.params or {}).items() if key.lower() != PINNED.lower()}
    return replace(source, params=params | ({PINNED: to_builtins(found)} if found else {}))


def unpinned(job: Job) -> Job:
    """Take away the results that were found for the inputs of a job."""
    if not any(item.source.kind == KIND for task in job.tasks or () for item in task.input_sources or ()):
        return job
    return replace(job, tasks=tuple(map(_unpinned, job.tasks or ())))


def _unpinned(task: Task) -> Task:
    inputs = tuple(
        replace(item, source=with_pinned(item.source, ())) if item.source.kind == KIND else item
        for item in task.input_sources or ()
    )
    return replace(task, input_sources=inputs or None)


def kinds_of(source: SpecConfig) -> tuple[str, ...]:
    """List the types of sources that a node needs for an input: its own, and those of the results that it takes."""
    if source.kind != KIND:
        return (source.kind,)
    params, _ = read_params(source, JobParams)
    return (KIND, *dict.fromkeys(taken.source.kind for taken in (params.pinned if params else ())))


def divide_input(item: InputSource) -> list[InputSource]:
    """Divide an input into the questions that are asked about it: one for each result that it takes."""
    params = read_params(item.source, JobParams)[0] if item.source.kind == KIND else None
    pinned = params.pinned if params else ()
    return [replace(item, source=with_pinned(item.source, (taken,))) for taken in pinned] or [item]
