"""Lists the inputs of a job before it is placed, once for all its executions.

A node lists, because the credentials and the rules of addresses are the nodes' own: the first one that could run the
job, and where that refuses or goes away, the next. The objects are shared out among the partitions here, are kept in
the content store as an inventory (`models/job/inventory.py`), and the job is then evaluated again.
"""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, StorageFailure, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing
from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import Model
from bacalhau.models.execution.event import Event, Topic, make_event
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.inventory import InputSummary, Inventory, unpack_rows
from bacalhau.models.job.job import EVERYWHERE, InputSource, Job
from bacalhau.models.job.taken import divide_input, is_pinned
from bacalhau.models.wire.messages import (
    ListInputRequest,
    ListInputResponse,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.locating import nodes_to_ask
from bacalhau.orchestrator.evaluation.pinning import Pinning, pin_inputs
from bacalhau.orchestrator.evaluation.reusing import look_for_results, must_look
from bacalhau.orchestrator.scheduling.schedule import total_limit
from bacalhau.orchestrator.scheduling.steps import limits_of
from bacalhau.orchestrator.scheduling.view import SECOND
from bacalhau.orchestrator.state.awaited import Wait
from bacalhau.ports.store import InventoryDraft

JOBS_AT_ONCE = 8
PAGES_AT_ONCE = 16  # of one input
NODES = 3  # that are asked, where one after the other cannot list
ANSWER = 40.0  # seconds; a node itself gives up after 30
MOST_OBJECTS = 20_000_000  # of one input
STORE_PAUSE = 1_000_000_000  # ns, while the store cannot be written
log = logging.getLogger(__name__)
A = TypeVar("A", bound=Model)


def must_list(orch: Orchestrator, job: Job) -> bool:
    """Tell whether the inputs of a job must be listed first. They are listed, and then the job is evaluated again.

    Where no node of our make could ever run the job, there is nobody to ask, and its executions list for themselves.
    """
    if job.is_done or orch.awaited.find(job.id, job.version) or not _lacks(orch, job):
        return False
    limit = _time_limit(job)
    if limit and limit < now_ns():
        return False
    if limit:
        orch.queue.add(job.id, limit + 1)
    orch.inventories.put(job.id)
    return True


def _lacks(orch: Orchestrator, job: Job) -> bool:
    """Tell whether something must be found out: results that it takes of others, what its inputs hold, or results that
    it can use again.
    """
    if not is_pinned(job):
        return True
    if job.inventory is None and _listed_inputs(orch, job):
        return bool(nodes_to_ask(orch, job))
    return must_look(job)


def _time_limit(job: Job) -> int:
    """Return the Unix ns at which a job that is not placed is given up; 0 never."""
    seconds = limits_of(job).queue_timeout
    limits = [total_limit(job), job.submitted + seconds * SECOND if seconds else 0]
    return min(filter(None, limits), default=0)


def _listed_inputs(orch: Orchestrator, job: Job) -> list[tuple[int, InputSource]]:
    """Number the inputs that may hold another thing tomorrow."""
    inputs = enumerate(job.task.input_sources or ())
    return [(index, item) for index, item in inputs if item.source.kind in orch.checks.listed]


async def list_forever(orch: Orchestrator) -> None:
    """List the inputs of jobs as they come, a few jobs at a time."""
    await together(*(_list_in_turn(orch) for _ in range(JOBS_AT_ONCE)))


async def _list_in_turn(orch: Orchestrator) -> None:
    while True:
        if job_id := orch.inventories.take():
            await _list_job(orch, job_id)
        else:
            await orch.inventories.signal.wait(60)


async def _list_job(orch: Orchestrator, job_id: str) -> None:
    """List the inputs of a job. Whatever comes of it, the job is evaluated again."""
    again = 0
    try:
        view = (await orch.views.load(orch.store, [job_id])).get(job_id)
        if view is not None and _lacks(orch, view.job) and not view.job.is_done:
            with suppress(_Outdated):
                await _find_inputs(orch, view.job)
    except Unavailable as e:
        log.error("the inputs of job %s are listed later: %s", job_id, e)
        again = now_ns() + STORE_PAUSE
    finally:
        orch.inventories.done(job_id)
        orch.queue.add(job_id, again)


async def _find_inputs(orch: Orchestrator, job: Job) -> None:
    """Find the results that a job takes of others, then list all its inputs. Raises Unavailable."""
    if not is_pinned(job):
        try:
            pinned = await pin_inputs(orch, job)
        except BadRequest as e:
            orch.awaited.put(job.id, Wait(job.version, e.message, hint=e.hint, is_over=True))
            return
        if pinned.target:
            await _wait(orch, job, pinned)
            return
        job = pinned.job
    events: tuple[Event, ...] = ()
    if job.inventory is None and _listed_inputs(orch, job) and nodes_to_ask(orch, job):
        inventory = await make_inventory(orch, job)
        job, events = replace(job, inventory=inventory), (_event(inventory, now_ns()),)
    if must_look(job) and (job.inventory or not _listed_inputs(orch, job)):
        job, told = await look_for_results(orch, job)
        events += told
    await _store(orch, job, events)


async def _wait(orch: Orchestrator, job: Job, found: Pinning) -> None:
    """Note what a job waits for, unless that has ended meanwhile: then it is looked at again."""
    orch.awaited.put(job.id, Wait(job.version, found.awaits, found.target))
    try:
        is_over = (await orch.store.find_job(found.target)).is_done
    except BacalhauError:  # it is gone, or the store is away
        is_over = True
    if is_over:
        orch.awaited.forget(job.id)


async def _store(orch: Orchestrator, listed: Job, events: Sequence[Event]) -> None:
    """Write what was found for a version: its inventory, the results that it takes, and that results to use again were
    looked for; drop it where the job changed or ended meanwhile. Raises Unavailable.
    """
    inventory = listed.inventory
    reach(Point.LISTED)
    while True:
        view = (await orch.views.load(orch.store, [listed.id])).get(listed.id)
        if view is None or view.job.is_done or view.job.version != listed.version:
            await orch.inventories.remove([inventory.root] if inventory and inventory.root else [])
            return
        now = now_ns()
        found = replace(view.job, tasks=listed.tasks, inventory=inventory, reuse=listed.reuse)
        job = replace(found, revision=view.job.revision + 1, modify_time=now)
        entries = tuple(HistoryEntry(job_id=job.id, job_version=job.version, event=event) for event in events)
        try:
            await orch.commit(Change(jobs=(job,), history=entries))
            return
        except Conflict:
            orch.views.forget(listed.id)


def _event(inventory: Inventory, now: int) -> Event:
    if inventory.error:
        return make_event(Topic.SCHEDULING, f"Inputs could not be listed: {inventory.error}", now)
    text = f"Inputs listed: {inventory.objects:,} objects, {show_bytes(inventory.bytes)}"
    return make_event(Topic.SCHEDULING, text, now, NodeID=inventory.node_id)


async def make_inventory(orch: Orchestrator, job: Job) -> Inventory:
    """List the inputs of a job, and keep what they hold. Raises Unavailable where this machine's disk or every node
    fails; any other failure stands in the inventory, and each execution ends with it.
    """
    asking = _Asking(orch, job)
    try:
        async with orch.store.draft_inventory() as draft:
            inputs = [await _list_input(asking, draft, index, item) for index, item in _listed_inputs(orch, job)]
            root = await orch.inventories.keep(job.id, inputs, draft.pages())
    except Unavailable:
        raise
    except BacalhauError as e:  # also an answer that is none: a node may send anything
        return Inventory(made=now_ns(), node_id=asking.node_id, error=e.message, hint=e.hint)
    objects, size = sum(each.objects for each in inputs), sum(each.bytes for each in inputs)
    return Inventory(root=root, made=now_ns(), node_id=asking.node_id, objects=objects, bytes=size)


async def _list_input(asking: "_Asking", draft: InventoryDraft, index: int, item: InputSource) -> InputSummary:
    count = 0 if asking.job.type in EVERYWHERE else asking.job.wanted
    places, sharing = deque((each, "") for each in divide_input(item)), set[str]()

    async def take(each: InputSource, place: str) -> None:
        question = ListInputRequest(input=each, namespace=asking.job.namespace, count=count, place=place)
        answer = await asking.ask(question, ListInputResponse)
        total = await draft.add(index, unpack_rows(answer.page), answer.marks)
        if total > MOST_OBJECTS:
            raise StorageFailure(f"input {item.target} holds more than {MOST_OBJECTS:,} objects", hint="name less")
        sharing.add(answer.sharing)
        places.extend((each, following) for following in answer.following)

    while places:
        asking.require_current()
        some = [places.popleft() for _ in range(min(PAGES_AT_ONCE, len(places)))]
        await gather_bounded(PAGES_AT_ONCE, [partial(take, *place) for place in some])
    found = await draft.share(index, next(iter(sharing)), count)
    if not found.objects:
        await _confirm_empty(asking, item)
    return found


async def _confirm_empty(asking: "_Asking", item: InputSource) -> None:
    """Raise the source's own StorageFailure where it may not be empty."""
    (answer,) = (await asking.ask(ResolveInputsRequest(inputs=(item,)), ResolveInputsResponse)).inputs
    if answer.error:
        raise StorageFailure(answer.error, hint=answer.hint)


class _Outdated(Exception):
    """The job has ended, or has a new version."""


class _Asking:
    """Questions of one job to the node that lists its inputs, `node_id`."""

    def __init__(self, orch: Orchestrator, job: Job) -> None:
        self.job = job
        self._orch = orch
        self._nodes: Sequence[str] = nodes_to_ask(orch, job)[:NODES]
        self._effort = Effort(USUAL)

    @property
    def node_id(self) -> str:
        return self._nodes[0] if self._nodes else ""

    def require_current(self) -> None:
        """Raise _Outdated where nobody needs the answers any more."""
        known = self._orch.views.find_job(self.job.id)
        if known is not None and (known.is_done or known.version != self.job.version):
            raise _Outdated

    async def ask(self, question: Model, kind: type[A]) -> A:
        """Ask until a node answers. Raises the StorageFailure of the first node when none of them can, and Unavailable
        where none is there.
        """
        return await self._effort.persist(partial(self._ask_each, question, kind))

    async def _ask_each(self, question: Model, kind: type[A]) -> A:
        errors: list[BacalhauError] = []
        for node_id in tuple(self._nodes):
            try:
                answer = await self._orch.bus.ask(node_id, question, ANSWER)
            except BacalhauError as e:
                log.info("node %s cannot list the inputs of job %s: %s", node_id, self.job.id, e)
                errors.append(e)
                self._nodes = (*(other for other in self._nodes if other != node_id), node_id)
            else:
                if isinstance(answer, kind):
                    return answer
                errors.append(Unavailable(f"node {node_id} answered a question about inputs strangely"))
        raise _sum_up(errors)


def _sum_up(errors: Sequence[BacalhauError]) -> BacalhauError:
    """Choose the error that says most: one of the store's own, and of those one that does not pass by itself."""
    own = [error for error in errors if isinstance(error, StorageFailure)]
    for error in own:
        if not error.retryable:
            return error
    if own:
        return Passing(own[0].message, hint=own[0].hint, component=own[0].component).because(Fault(own[0].message))
    return errors[0] if errors else Unavailable("no node is there to list the inputs")
