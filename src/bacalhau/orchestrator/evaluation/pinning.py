"""Finds the results of other jobs that the inputs of a job take, and writes them into the job.

That happens when the job is submitted. A job that may wait for another is evaluated again when that one has ended, and
then its results are found. What was found stays the same for the version of the reading job.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from msgspec.structs import replace

from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, NotFound
from bacalhau.lib.ids import short_id
from bacalhau.lib.wire import Model
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import EVERYWHERE, LONG_RUNNING, InputSource, Job
from bacalhau.models.job.spec import read_params
from bacalhau.models.job.state import JobStateType
from bacalhau.models.job.taken import KIND, MOST_RESULTS, JobParams, TakenResult, taking_inputs, with_pinned
from bacalhau.models.wire.messages import ListInputRequest, ResolveInputsRequest
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.published import list_published
from bacalhau.orchestrator.scheduling.view import RESULT
from bacalhau.ports.publisher import Published

_FOLLOWED = 1000  # jobs that are looked at for a circle of waits


class Pinning(NamedTuple):
    """A job with the results that were found, and the job that it waits for: its id and words about it, "" where it
    waits for none.
    """

    job: Job
    target: str = ""
    awaits: str = ""


async def pin_inputs(orch: Orchestrator, job: Job) -> Pinning:
    """Find the results that a job takes and that are not known yet. Raises BadRequest with every problem."""
    inputs = list(job.task.input_sources or ())
    problems: list[str] = []
    hints: list[str] = []
    target = awaits = ""
    for number, item, params in list(taking_inputs(job)):
        if params.pinned:
            continue
        try:
            found = await _find_source(orch, job, params)
            if found.is_done:
                pinned = await _pin(orch, found, params)
                inputs[number] = replace(item, source=with_pinned(item.source, pinned))
            elif not target:
                target = found.id
                awaits = f"{RESULT}{short_id(found.id)} ({found.name})"
        except BacalhauError as e:
            problems.append(f"{_name(item, params)}: {e.message}")
            hints.append(e.hint)
    if problems:
        raise BadRequest(problems, hint=next(filter(None, hints), ""), component="APIServer")
    return Pinning(_with_inputs(job, inputs), target, awaits)


def _name(item: InputSource, params: JobParams) -> str:
    return f"input {item.target} (job://{'/'.join(filter(None, (params.name, params.below)))})"


def _with_inputs(job: Job, inputs: list[InputSource]) -> Job:
    tasks = job.tasks or ()
    return replace(job, tasks=(replace(tasks[0], input_sources=tuple(inputs) or None), *tasks[1:])) if tasks else job


async def _find_source(orch: Orchestrator, job: Job, params: JobParams) -> Job:
    """Find the job whose result is taken: one that has ended, or that may be waited for. Raises BacalhauError."""
    try:
        found = await orch.store.find_job(params.name, job.namespace)
    except NotFound as e:
        raise BadRequest(f"job {params.name} is not known", hint="see: bacalhau job list") from e
    except Conflict as e:
        raise BadRequest(f"job {params.name} is ambiguous: {e.message}", hint="write more of its id") from e
    if _is_same(found, job):
        raise BadRequest("a job cannot take its own result", hint="name another job")
    if found.type in LONG_RUNNING:
        said = f"job {short_id(found.id)} is a {found.type} job, which runs until it is stopped: no result"
        raise BadRequest(said, hint="take the result of a batch or ops job")
    if found.is_done:
        return found
    if not params.waits:
        said = f"job {short_id(found.id)} is {found.state.state_type} and has no result yet"
        raise BadRequest(said, hint="wait for it: opt=wait in -i, Wait: true in a job file")
    if circle := await _find_circle(orch, job, found):
        raise BadRequest(f"jobs would wait for one another: {circle}")
    return found


def _is_same(one: Job, other: Job) -> bool:
    """Tell whether two jobs are one: a job that is submitted again has another id until it is stored."""
    return one.id == other.id or (one.name, one.namespace) == (other.name, other.namespace)


async def _find_circle(orch: Orchestrator, job: Job, first: Job) -> str:
    """Follow the waits from a job. Return the way back to `job` in words, "" where none leads there."""
    todo: list[tuple[Job, tuple[str, ...]]] = [(first, (job.name, first.name))]
    seen = {first.id}
    while todo and len(seen) < _FOLLOWED:
        at, way = todo.pop()
        async for other in _waited_for(orch, at):
            if _is_same(other, job):
                return " waits for ".join((*way, job.name))
            if other.id not in seen:
                seen.add(other.id)
                todo.append((other, (*way, other.name)))
    return ""


async def _waited_for(orch: Orchestrator, job: Job) -> AsyncIterator[Job]:
    """Yield the jobs whose results a job still waits for."""
    for _, _, params in taking_inputs(job):
        if not params.pinned:
            try:
                found = await orch.store.find_job(params.name, job.namespace)
            except BacalhauError:
                continue  # that job will say so itself
            if not found.is_done:
                yield found


async def _pin(orch: Orchestrator, source: Job, params: JobParams) -> tuple[TakenResult, ...]:
    """Pin the results of a job that has ended. Raises BadRequest where it has none."""
    state = source.state
    if state.state_type != JobStateType.COMPLETED:
        why = f": {state.message}" if state.message else ""
        said = f"job {short_id(source.id)} is {state.state_type} and has no result{why}"
        raise BadRequest(said, hint=f"see: bacalhau job describe {short_id(source.id)}")
    published = await list_published(orch, source)
    if not published:
        raise BadRequest(
            f"job {short_id(source.id)} published no result", hint="run it with a publisher, such as -p ipfs"
        )
    if len(published) > MOST_RESULTS:
        raise BadRequest(
            f"job {short_id(source.id)} has {len(published):,} results, and an input takes {MOST_RESULTS:,} at most"
        )
    return tuple(_take(orch, source, execution, params) for execution in published)


async def with_links(orch: Orchestrator, question: Model) -> Model:
    """Add links to the results that the inputs in a question take, because the node that is asked need not run anything
    which reads them. All else stays as it is. Raises BacalhauError where this orchestrator cannot sign.
    """
    if isinstance(question, ListInputRequest):
        return replace(question, input=await _with_links(orch, question.input))
    if isinstance(question, ResolveInputsRequest):
        return replace(question, inputs=tuple([await _with_links(orch, item) for item in question.inputs]))
    return question


async def _with_links(orch: Orchestrator, item: InputSource) -> InputSource:
    """Add links to the results that the orchestrator found for an input, and to nothing that a user named."""
    params = read_params(item.source, JobParams)[0] if item.source.kind == KIND else None
    if params is None or not params.pinned:
        return item
    signed = [replace(taken, source=await orch.sign_input(taken.source)) for taken in params.pinned]
    return replace(item, source=with_pinned(item.source, tuple(signed)))


def _take(orch: Orchestrator, job: Job, execution: Execution, params: JobParams) -> TakenResult:
    published = Published.of(execution, job, execution.published_result)
    problems = orch.checks.list_result_problems(published)
    if problems:
        raise BadRequest(f"the result of execution {execution.id} is refused: {'; '.join(problems)}")
    read = orch.checks.readers.get(published.publisher.kind)
    if read is None:
        raise BadRequest(f"results of publisher {published.publisher.kind} cannot be inputs of other jobs")
    found = read(published, params.below)
    return TakenResult(
        job_id=job.id,
        job_version=job.version,
        execution_id=execution.id,
        source=found.source,
        folder=execution.node_id if job.type in EVERYWHERE else str(execution.partition_index),
        path=params.below,
        pick=found.pick,
        is_archive=found.is_archive,
    )
