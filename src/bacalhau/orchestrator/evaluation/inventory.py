"""Lists the inputs of a job before it is placed, once for all its executions.

A node lists, because the credentials and the rules of addresses are the nodes' own: the first one that could run the
job, and where that refuses or goes away, the next. The objects are shared out among the partitions here, are kept in
the content store as an inventory (`models/job/inventory.py`), and the job is then evaluated again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from bacalhau.lib.aio import background, gather_bounded, together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, Forbidden, StorageFailure, TimedOut, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.ids import short_id
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing, Patience, passing_failures
from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import Model
from bacalhau.models.execution.event import Event, Topic, make_event
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.inventory import InputSummary, Inventory
from bacalhau.models.job.job import EVERYWHERE, InputSource, Job
from bacalhau.models.job.taken import divide_input, is_pinned
from bacalhau.models.job.validate import MAX_COUNT
from bacalhau.models.wire.messages import (
    ListInputRequest,
    ListInputResponse,
    Progress,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.locating import nodes_to_ask
from bacalhau.orchestrator.evaluation.pages import find_error, read_page, require_bounds
from bacalhau.orchestrator.evaluation.pinning import Pinning, pin_inputs, with_links
from bacalhau.orchestrator.evaluation.reusing import look_for_results, must_look
from bacalhau.orchestrator.scheduling.schedule import total_limit
from bacalhau.orchestrator.scheduling.steps import limits_of
from bacalhau.orchestrator.scheduling.view import SECOND
from bacalhau.orchestrator.state.awaited import Wait
from bacalhau.orchestrator.state.inventories import Progressing
from bacalhau.ports.storage import NAMED, missing_objects
from bacalhau.ports.store import InventoryDraft

JOBS_AT_ONCE = 8
PAGES_AT_ONCE = 16  # of one input
NODES = 3  # that are asked, where one after the other cannot list
ANSWER = 40.0  # seconds; a node itself gives up after 30
SEVERAL = 2  # partitions, in a question whose answer decides how many there are
MOST_OBJECTS = 20_000_000  # of one input
STORE_PAUSE = 1_000_000_000  # ns, while the store cannot be written
EVENT_AFTER, EVENT_EVERY = 5 * SECOND, 60 * SECOND  # ns of listing, after which the history tells of it
TELL_EVERY = 1.0  # seconds
LISTING = "listing"  # stage of the progress
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
    if job.inventory is None and list_listed(orch, job):
        return bool(nodes_to_ask(orch, job))
    return must_look(job)


def _time_limit(job: Job) -> int:
    """Return the Unix ns at which a job that is not placed is given up; 0 never."""
    seconds = limits_of(job).queue_timeout
    limits = [total_limit(job), job.submitted + seconds * SECOND if seconds else 0]
    return min(filter(None, limits), default=0)


def list_listed(orch: Orchestrator, job: Job) -> list[tuple[int, InputSource]]:
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
    except BacalhauError as e:  # also one that nobody expects here: it must not end the process
        log.error("the inputs of job %s are listed later: %s", job_id, e)
        again = now_ns() + STORE_PAUSE
    finally:
        orch.inventories.done(job_id)
        orch.board.forget(job_id, "")
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
    if job.inventory is None and list_listed(orch, job) and nodes_to_ask(orch, job):
        inventory = await make_inventory(orch, job)
        job = replace(job, inventory=inventory, count=inventory.count or job.count)
        events = _events(inventory, now_ns())
    if must_look(job) and (job.inventory or not list_listed(orch, job)):
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
        found = replace(view.job, tasks=listed.tasks, inventory=inventory, reuse=listed.reuse, count=listed.count)
        job = replace(found, revision=view.job.revision + 1, modify_time=now)
        entries = tuple(HistoryEntry(job_id=job.id, job_version=job.version, event=event) for event in events)
        try:
            await orch.commit(Change(jobs=(job,), history=entries))
            return
        except Conflict:
            orch.views.forget(listed.id)


def _events(inventory: Inventory, now: int) -> tuple[Event, ...]:
    """Return the event of an inventory that decided something about the job; what it holds is shown by describe."""
    if inventory.error:
        return (make_event(Topic.SCHEDULING, f"Inputs could not be listed: {inventory.error}", now),)
    if not inventory.count:
        return ()
    found = f"{inventory.objects:,} objects, {show_bytes(inventory.bytes)}, for {inventory.count:,} partitions"
    return (make_event(Topic.SCHEDULING, f"Inputs listed: {found}", now, NodeID=inventory.node_id),)


async def make_inventory(orch: Orchestrator, job: Job) -> Inventory:
    """List the inputs of a job, and keep what they hold. Raises Unavailable where this machine's disk or every node
    fails; any other failure stands in the inventory, and each execution ends with it. Where nodes do not know the
    question, the inventory is empty, and each execution lists for itself.
    """
    asking = Asking(orch, job)
    try:
        async with background(_tell_forever(asking)), orch.store.draft_inventory() as draft:
            inputs = [await _share(asking, reading) for reading in await _read_all(asking, draft)]
            shares = await draft.summarize(inputs, asking.count)
            root = await orch.inventories.keep(job.id, inputs, draft.pages(), shares)
    except Unavailable:
        raise
    except _Unknown as e:
        log.info("job %s is placed without a list of its inputs: %s", job.id, e.message)
        return Inventory(made=now_ns())
    except BacalhauError as e:  # also an answer that is none: a node may send anything
        return Inventory(made=now_ns(), node_id=asking.node_id, error=e.message, hint=e.hint)
    return Inventory(
        root=root,
        made=now_ns(),
        node_id=asking.node_id,
        objects=sum(each.objects for each in inputs),
        bytes=sum(each.bytes for each in inputs),
        count=asking.count if job.auto_count else 0,
        regions=tuple(sorted({each.region for each in inputs if each.region})),
    )


async def _read_all(asking: "Asking", draft: InventoryDraft) -> list["Reading"]:
    """List all inputs. Those that decide the number of partitions are listed before the others."""
    orch, job = asking.orch, asking.job
    items = list_listed(orch, job)
    sizes = {index: orch.checks.part_bytes(item.source) for index, item in items if job.auto_count}
    deciding = [each for each in items if sizes.get(each[0])]
    asking.count = SEVERAL if deciding else asking.count
    found = [await _read(asking, draft, index, item) for index, item in deciding]
    if deciding:
        asking.count = max(count_parts(each.total, each.bytes, sizes[each.index]) for each in found)
    found += [await _read(asking, draft, index, item) for index, item in items if not sizes.get(index)]
    return sorted(found, key=lambda each: each.index)


def count_parts(objects: int, size: int, part: int) -> int:
    """Return how many partitions of `part` bytes the objects make: at least one, and none without an object. Raises
    StorageFailure for more than a job can have.
    """
    count = max(1, min(objects, -(-size // part)))
    if count > MAX_COUNT:
        said = f"{show_bytes(size)} make {count:,} partitions of {show_bytes(part)}, more than {MAX_COUNT:,}"
        raise StorageFailure(said, hint=f"ask for at least {show_bytes(-(-size // MAX_COUNT))} in a partition")
    return count


async def _read(asking: "Asking", draft: InventoryDraft, index: int, item: InputSource) -> "Reading":
    reading = Reading(asking, draft, index, item)
    while reading.places:
        asking.require_current()
        before = reading.total
        await reading.read_some()
        asking.objects += reading.total - before
    return reading


async def _share(asking: "Asking", reading: "Reading") -> InputSummary:
    found = await reading.share()
    if not found.objects:
        await confirm_empty(asking, reading.item)
    return found


async def _tell_forever(asking: "Asking") -> None:
    """Tell those who watch the job how far the listing is, every second; a long one stands in its history, too."""
    orch, job, due = asking.orch, asking.job, now_ns() + EVENT_AFTER
    while True:
        await asyncio.sleep(TELL_EVERY)
        orch.inventories.listing[job.id] = Progressing(asking.node_id, asking.objects, asking.waits_for)
        note, now = show_listing(orch, job.id), now_ns()
        orch.board.put_progress(Progress(job_id=job.id, stage=LISTING, done=asking.objects, note=note))
        if now >= due:
            due = now + EVENT_EVERY
            event = make_event(Topic.SCHEDULING, note[0].upper() + note[1:], now, NodeID=asking.node_id)
            await orch.commit(Change(history=(HistoryEntry(job_id=job.id, job_version=job.version, event=event),)))


class Reading:
    """The listing of one input into a draft, some pages at a time. `places` are the pages that follow, each with the
    part of the input that it is of; `total` is how many objects were listed, `bytes` how many they have.
    """

    def __init__(self, asking: "Asking", draft: InventoryDraft, index: int, item: InputSource) -> None:
        self._asking, self._draft, self.index, self.item = asking, draft, index, item
        self._first = ListInputResponse()
        self._missing, self._missing_keys = 0, list[str]()
        self.places = deque((each, "") for each in divide_input(item))
        self.total, self.bytes = 0, 0

    async def read_some(self) -> None:
        """List the next pages. Raises StorageFailure."""
        some = [self.places.popleft() for _ in range(min(PAGES_AT_ONCE, len(self.places)))]
        await gather_bounded(PAGES_AT_ONCE, [partial(self._take, *place) for place in some])

    async def _take(self, each: InputSource, place: str) -> None:
        asking, namespace = self._asking, self._asking.job.namespace
        question = ListInputRequest(
            input=each, namespace=namespace, count=asking.count, place=place, seconds=asking.seconds
        )
        answer = await asking.ask(question, ListInputResponse)
        rows = read_page(answer, asking.count)
        self.bytes += sum(max(row.size, 0) for row in rows)
        self.total = await self._draft.add(self.index, rows, answer.marks)
        self._missing += max(0, answer.missing)
        self._missing_keys = [*self._missing_keys, *answer.missing_keys][:NAMED]
        if self.total > MOST_OBJECTS:
            target = self.item.target
            raise StorageFailure(f"input {target} holds more than {MOST_OBJECTS:,} objects", hint="name less")
        if not place:
            self._first = answer
        self.places.extend((each, following) for following in answer.following)
        require_bounds(self.bytes, self.places)

    async def share(self) -> InputSummary:
        """Share out what was listed. Raises StorageFailure, also where objects that the input names are missing."""
        if self._missing:
            raise missing_objects(self._missing, self._missing_keys)
        found = await self._draft.share(self.index, self._first.sharing, self._asking.count)
        return replace(found, identity=self._first.identity, region=self._first.region)


async def confirm_empty(asking: "Asking", item: InputSource) -> None:
    """Raise the source's own StorageFailure where it may not be empty."""
    question = ResolveInputsRequest(inputs=(item,), namespace=asking.job.namespace)
    error, hint = find_error(await asking.ask(question, ResolveInputsResponse))
    if error:
        raise StorageFailure(error, hint=hint)


def show_listing(orch: Orchestrator, job_id: str) -> str:
    """Say how far the listing of a job's inputs has come; "" where nobody lists them."""
    node_id, objects, waits_for = orch.inventories.listing.get(job_id, Progressing())
    if not node_id:
        return ""
    return f"listing inputs: {objects:,} objects so far, by node {short_id(node_id)}{': ' * bool(waits_for)}{waits_for}"


class _Unknown(BacalhauError):
    """No node knows the question: they are of an older make."""


class _Outdated(Exception):
    """The job has ended, or has a new version."""


class Asking:
    """Questions of one job to the node that lists its inputs, `node_id`.

    `count` is the number of partitions, 0 for a job that is not divided. `objects` were listed so far, and `waits_for`
    is what it waits for just now, "" while it goes on.
    A node spends `seconds` on a page, 0 as many as it likes.
    """

    def __init__(self, orch: Orchestrator, job: Job, patience: Patience = USUAL, seconds: float = 0.0) -> None:
        self.job, self.orch, self.seconds = job, orch, seconds
        self.count = 0 if job.type in EVERYWHERE else job.wanted
        self.objects = 0
        self._nodes: Sequence[str] = nodes_to_ask(orch, job)[:NODES]
        self.waits_for = ""
        self._effort = Effort(patience, self._wait)

    def _wait(self, note: str) -> None:
        self.waits_for = note

    @property
    def node_id(self) -> str:
        return self._nodes[0] if self._nodes else ""

    def require_current(self) -> None:
        """Raise _Outdated where nobody needs the answers any more."""
        known = self.orch.views.find_job(self.job.id)
        if known is not None and (known.is_done or known.version != self.job.version):
            raise _Outdated

    async def ask(self, question: Model, kind: type[A]) -> A:
        """Ask until a node answers, each time with fresh links. Raises the StorageFailure of the first node when none
        can, and Unavailable where none is there.
        """
        return await self._effort.persist(partial(self._ask_linked, question, kind))

    async def _ask_linked(self, question: Model, kind: type[A]) -> A:
        with passing_failures():
            linked = await with_links(self.orch, question)
        return await self._ask_each(linked, kind)

    async def _ask_each(self, question: Model, kind: type[A]) -> A:
        errors: list[BacalhauError] = []
        for node_id in tuple(self._nodes):
            try:
                answer = await self.orch.bus.ask(node_id, question, ANSWER)
            except BacalhauError as e:
                log.info("node %s cannot list the inputs of job %s: %s", node_id, self.job.id, e)
                errors.append(e)
                self._nodes = (*(other for other in self._nodes if other != node_id), node_id)
            else:
                if not isinstance(answer, kind):
                    errors.append(Unavailable(f"node {node_id} answered a question about inputs strangely"))
                elif fault := _fault_of(answer):
                    errors.append(fault)
                    self.waits_for = fault.message
                else:
                    self.waits_for = ""
                    return answer
        raise _sum_up(errors)


def _fault_of(answer: Model) -> Passing | None:
    """Read why a node could not list an input now; None where it could."""
    if isinstance(answer, ListInputResponse) and answer.fault:
        return Passing(answer.fault, hint=answer.hint).because(Fault(answer.fault, answered=answer.is_heard))
    return None


def _sum_up(errors: Sequence[BacalhauError]) -> BacalhauError:
    """Choose the error that says most: one of the store's own, and of those one that does not pass by itself.

    Where no node has anything to say of the store, nothing is known, and it is tried again: that is Unavailable. All
    nodes of an older make say that they do not know the question, which is BadRequest.
    """
    own = [error for error in errors if isinstance(error, StorageFailure)]
    for error in own:
        if not error.retryable:
            return error
    if own:
        found = own[0]
        passing = Passing(found.message, hint=found.hint, component=found.component).because(Fault(found.message))
        return found if isinstance(found, Passing) else passing
    if errors and all(isinstance(error, BadRequest) for error in errors):
        return _Unknown(errors[0].message)
    if errors and not any(isinstance(error, (Unavailable, TimedOut, Forbidden)) for error in errors):
        return errors[0]
    return Unavailable(errors[0].message if errors else "no node is there to list the inputs")
