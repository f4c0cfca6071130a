"""Reading for clients: jobs, executions, history as a cursor that can wait, and the places of results."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import LONG_RUNNING, Job, LabelSelectorRequirement
from bacalhau.models.job.selector import meets_labels
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.api import ListHistoryResponse, ListResultsResponse
from bacalhau.models.wire.paging import PagingToken
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.inventory import show_listing
from bacalhau.orchestrator.evaluation.published import PAGE, list_published
from bacalhau.ports.publisher import Published
from bacalhau.ports.store import ALL, ExecutionPage, HistoryQuery, JobQuery, place_of

T = TypeVar("T")
Load = Callable[[Sequence[int]], Awaitable[list[T]]]
MAX_WAIT = 60.0
MOST_LABELLED = 1000
log = logging.getLogger(__name__)


async def find_job(orch: Orchestrator, id_or_name: str, namespace: str = "", version: int = 0) -> Job:
    """`version` 0 is the latest."""
    job = await orch.store.find_job(id_or_name, namespace)
    if version in (0, job.version):
        return _as_it_stands(orch, job)
    return await orch.store.get_job_version(job.id, version)


def _as_it_stands(orch: Orchestrator, job: Job) -> Job:
    """Add what only this process knows: how many jobs come before a queued one, or how far the listing of its inputs
    is.
    """
    if listing := show_listing(orch, job.id):
        return replace(job, state=replace(job.state, message=listing))
    position = orch.queue.position(job.id) if job.state.state_type == JobStateType.QUEUED else 0
    if not position:
        return job
    details = dict(job.state.details or {}) | {"QueuePosition": str(position)}
    return replace(job, state=replace(job.state, details=details))


async def wait_job(orch: Orchestrator, job_id: str, wait: float) -> Job:
    """The job when it has ended, or as it is after `wait` seconds."""
    with orch.board.watch(job_id) as watch:
        job = orch.views.find_job(job_id) or await orch.store.find_job(job_id)
        if job.is_done:
            return job
        return await watch.wait_end(min(wait, MAX_WAIT)) or await orch.store.find_job(job_id)


class Listing(NamedTuple, Generic[T]):
    """A list of any length: `items` are its first, and `rest` reads the others, some at a time, as they are then.
    `last` is its last item where the limit left others out, else None.
    """

    items: list[T]
    rest: AsyncIterator[list[T]] | None = None
    last: T | None = None


async def list_jobs(
    orch: Orchestrator, query: JobQuery, selector: tuple[LabelSelectorRequirement, ...]
) -> Listing[Job]:
    """List jobs. With labels, a list with a limit has 1,000 jobs at most."""
    if selector and query.limit:
        limited = query._replace(limit=min(query.limit, MOST_LABELLED))
        jobs, more = await list_matching_jobs(orch, limited, partial(_matches, selector))
        return Listing(jobs, None, jobs[-1] if more else None)
    if 0 < query.limit <= PAGE:
        return _cut(await orch.store.list_jobs(query._replace(limit=query.limit + 1)), query.limit)

    async def load(numbers: Sequence[int]) -> list[Job]:
        return [job for job in await orch.store.load_jobs(query.namespace, numbers) if _matches(selector, job)]

    numbers = await orch.store.number_jobs(query._replace(limit=query.limit + 1 if query.limit else 0))
    return await _list_numbered(numbers, query.limit, load)


def _matches(selector: tuple[LabelSelectorRequirement, ...], job: Job) -> bool:
    return meets_labels(selector, job.labels or {})


def _cut(found: list[T], limit: int) -> Listing[T]:
    """Make a list of one item more than the limit, if there is one."""
    return Listing(found[:limit], None, found[limit - 1] if len(found) > limit else None)


async def _list_numbered(numbers: Sequence[int], limit: int, load: Load[T]) -> Listing[T]:
    """Make a list of rows that are known by number; there is one more than the limit, if others follow."""
    shown = numbers[:limit] if limit else numbers
    last = await _load_last(shown, load) if len(shown) < len(numbers) else []
    items, start = list[T](), 0
    while start < len(shown) and not items:
        items, start = await load(shown[start : start + PAGE]), start + PAGE
    rest = _read_rest(shown[start:], load) if start < len(shown) else None
    return Listing(items, rest, last[0] if last else None)


async def _load_last(numbers: Sequence[int], load: Load[T]) -> list[T]:
    """Read the last row that is still there."""
    for number in reversed(numbers):
        if found := await load([number]):
            return found
    return []


async def _read_rest(numbers: Sequence[int], load: Load[T]) -> AsyncIterator[list[T]]:
    for start in range(0, len(numbers), PAGE):
        yield await load(numbers[start : start + PAGE])


async def list_matching_jobs(
    orch: Orchestrator, query: JobQuery, is_wanted: Callable[[Job], bool]
) -> tuple[list[Job], bool]:
    """A page of the jobs that are wanted, and whether more are after it. They are looked for some at a time."""
    after = query.after
    wanted: list[Job] = []
    while not query.limit or len(wanted) <= query.limit:
        page = await orch.store.list_jobs(query._replace(limit=PAGE, after=after))
        wanted += filter(is_wanted, page)
        if len(page) < PAGE:
            break
        after = place_of(page[-1], query.order_by)
    return (wanted[: query.limit], len(wanted) > query.limit) if query.limit else (wanted, False)


async def list_executions(
    orch: Orchestrator, id_or_name: str, namespace: str = "", version: int = 0, page: ExecutionPage = ALL
) -> Listing[Execution]:
    """List executions of a job. `version` 0 is the latest, -1 all."""
    job = await orch.store.find_job(id_or_name, namespace)
    if namespace not in ("", job.namespace):
        return Listing([])
    version, asked = version or job.version, page._replace(limit=page.limit + 1 if page.limit else 0)
    if 0 < page.limit <= PAGE:
        return _cut(await orch.store.list_executions(job.id, version, asked), page.limit)
    numbers = await orch.store.number_executions(job.id, version, asked)
    return await _list_numbered(numbers, page.limit, partial(orch.store.load_executions, job.id))


async def list_versions(orch: Orchestrator, id_or_name: str, namespace: str = "") -> list[Job]:
    job = await orch.store.find_job(id_or_name, namespace)
    return await orch.store.list_job_versions(job.id)


async def wait_history(
    orch: Orchestrator, query: HistoryQuery, *, wait: float, progress_seq: int
) -> ListHistoryResponse:
    """Rows after the cursor.

    With `wait` (seconds), returns when there are some, when progress differs from `progress_seq`, or when nothing more
    can come; NextToken is "" only then. Raises NotFound, also for an execution that the job never had.
    """
    deadline = now_ns() + int(min(wait, MAX_WAIT) * 1e9)
    with orch.board.watch(query.job_id) as watch:
        while True:
            watch.clear()
            job = await orch.store.find_job(query.job_id)
            is_over = await _is_over(orch, query, job)
            items = await orch.store.list_history(query)
            seq, progress = orch.board.progress(query.job_id)
            left = (deadline - now_ns()) / 1e9
            if items or is_over or (seq and seq != progress_seq) or left <= 0:
                break
            await watch.wait(left)
    after = items[-1].seq_num if items else query.after_seq
    more = len(items) == query.limit or not is_over
    token = PagingToken("", False, query.limit, after + 1).encoded() if more else ""
    return ListHistoryResponse(next_token=token, items=tuple(items), progress=progress or None, progress_seq=seq)


async def _is_over(orch: Orchestrator, query: HistoryQuery, job: Job) -> bool:
    if not query.execution_id:
        return job.is_done
    found = await orch.store.find_executions(job.id, query.execution_id)
    if not found.any:
        raise NotFound(
            f"execution not found: {query.execution_id}",
            hint=f"see: bacalhau job executions {job.id}",
            component="JobStore",
        )
    return not found.live


async def list_results(orch: Orchestrator, id_or_name: str, namespace: str = "") -> ListResultsResponse:
    """List published results of the latest version in partition order; of a failed execution too when it published what
    it had.
    """
    job = await orch.store.find_job(id_or_name, namespace)
    if job.type in LONG_RUNNING:
        raise BadRequest(
            f"a {job.type} job has no results: it runs until it is stopped",
            hint="read what it printed with `bacalhau job logs`",
        )
    published = await list_published(orch, job)
    proven = tuple(e.id if e.proof is not None and e.proof.outputs else "" for e in published)
    items = [await _handed_out(orch, e, job) for e in published]
    return ListResultsResponse(items=tuple(items), executions=proven if any(proven) else ())


async def _handed_out(orch: Orchestrator, execution: Execution, job: Job) -> SpecConfig:
    """Make a result fetchable. One that cannot be of its execution stays as it was reported: nothing is signed."""
    made = Published.of(execution, job, execution.published_result)
    if problems := orch.checks.list_result_problems(made):
        log.warning("the result of execution %s is not signed: %s", execution.id, "; ".join(problems))
        return made.result
    return await orch.presign(made)
