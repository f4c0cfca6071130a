"""The steps of which every scheduler's plan is made: start an execution, wait, stop, end the job."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import (
    AllocatedResources,
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
)
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import EVERYWHERE, Job, Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.state import JobStateType
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.place import Bars
from bacalhau.orchestrator.scheduling.quotas import UNLIMITED, Allowance
from bacalhau.orchestrator.scheduling.retry import list_away, list_refusals
from bacalhau.orchestrator.scheduling.view import (
    ANYWHERE,
    NOT_TOLD,
    OPEN,
    SECOND,
    SLICE,
    Claim,
    Fence,
    Holders,
    Nearness,
    Plan,
    Slot,
    earliest,
)

SHARED = 64  # reservations of jobs that are kept to be shared
WANTED = DesiredState(state_type=DesiredStateType.RUNNING)
PLACED = ComputeState(state_type=ComputeStateType.BID_ACCEPTED)
UPDATED = "Execution stopped for job update"
ENDS: Mapping[JobStateType, str] = {
    JobStateType.STOPPED: "Execution stop requested because job has been stopped",
    JobStateType.FAILED: "Execution stopped due to job failure",
    JobStateType.COMPLETED: UPDATED,
}
"""The reason why the live executions of a job stop, by the state in which the job ended: one that is completed has no
others than those of older versions.
"""


def _is_not(whose: str, execution_id: str) -> bool:
    return False


class Awaits(NamedTuple):
    """The result of another job that a job waits for, in words; where `is_over`, why it cannot come, with a `hint`."""

    text: str = ""
    hint: str = ""
    is_over: bool = False


NOTHING = Awaits()


class Context(NamedTuple):
    """The surroundings of a decision.

    `new_ids` yields fresh execution ids; `settled`: nodes had time to come back after a start.

    `is_undelivered` (node id, execution id): the node went before it heard of the execution. `is_preparing` (job id,
    execution id): its node said that it fetches its image or inputs. `eval_id`: of this
    evaluation, for what it starts. `holders` of the job's inputs. `claim`: the node that is kept for another job, where
    this one must respect that. `most`: how many executions may start now, None for as many as fit.
    `allowance`: what the job's namespace may use. `fence`: the slots in which an attempt may still publish.
    `later`: the slots that the roll-out of the job's version has not reached; `is_held_up`: nor does it go on.
    `awaits`: the result of another job that must come first. `foretold`: the partition whose inputs a node may have by
    now.
    """

    candidates: Candidates
    now: int
    new_ids: Iterator[str]
    settled: bool = True
    claim: Claim | None = None
    is_undelivered: Callable[[str, str], bool] = _is_not
    eval_id: str = ""
    holders: Holders = NOT_TOLD
    most: int | None = None
    allowance: Allowance = UNLIMITED
    fence: Fence = OPEN
    is_preparing: Callable[[str, str], bool] = _is_not
    later: frozenset[Slot] = frozenset()
    is_held_up: bool = False
    awaits: Awaits = NOTHING
    foretold: Mapping[str, int] = {}

    def tell_return(self, job: Job) -> Callable[[str], int]:
        """Make the function that tells when a node had the job's engine again (Unix ns), 0 where it never lacked it."""
        engine, nodes = job.task.engine.kind, self.candidates.by_id
        return lambda node_id: nodes[node_id].returned.get(engine, 0) if node_id in nodes else 0


def limits_of(job: Job) -> Timeouts:
    return job.task.timeouts or Timeouts()


def nearness_of(job: Job, around: Context) -> Nearness:
    """Say which nodes are near to the inputs of a job."""
    held, regions = around.holders.held, job.inventory.regions if job.inventory else ()
    return Nearness(held, around.candidates.in_regions(regions)) if held or regions else ANYWHERE


def find_all_bars(view: JobView, around: Context) -> Bars:
    """List the nodes that do not count now for a job of partitions."""
    bars = find_bars(view.job, view.tally.refused.values(), around)
    if not view.tally.away:
        return bars
    away = list_away(view.tally.away.values(), around.tell_return(view.job))
    return bars._replace(
        away={node_id: e.compute_state.message for node_id, (e, until) in away.items() if until > around.now}
    )


def find_bars(job: Job, current: Iterable[Execution], around: Context) -> Bars:
    refused = {node_id: e.compute_state.message for node_id, e in list_refusals(job.type, current, around.now).items()}
    claim = around.claim
    if claim is None:
        return Bars(refused, lacking=_find_lacking(around))
    return Bars(
        refused, {claim.node_id: f"is kept for job {short_id(claim.job_id)}, which waits longer"}, _find_lacking(around)
    )


def _find_lacking(around: Context) -> Mapping[str, str]:
    """Nodes that cannot have the inputs count only against those that have them.

    Where nobody has, a run tells the user best.
    """
    held, lacking = around.holders
    if not lacking:
        return lacking
    is_somewhere = any(node_id not in lacking and node_id in around.candidates.by_id for node_id in held)
    return lacking if is_somewhere or not around.settled else NOT_TOLD.lacking


def wait_or_run(job: Job, plan: Plan, has_live: bool, around: Context) -> Plan:
    """Queued while nothing runs and something is waited for, Running otherwise, also between two attempts."""
    backs_off = plan.backs_off and job.state.state_type == JobStateType.RUNNING
    if plan.waiting and not has_live and not plan.asks and not backs_off:
        return _wait(job, plan, around.now)
    running = None if job.state.state_type == JobStateType.RUNNING else job.moved(JobStateType.RUNNING, around.now)
    requested = tuple(
        _of_execution(ask, Topic.SCHEDULING, f"Requested execution on {short_id(ask.node_id)}", NodeID=ask.node_id)
        for ask in plan.asks
    )
    # Clients of batch and service jobs know by this that the node has been told to run it.
    told = () if job.type in EVERYWHERE else tuple(_of_execution(ask, Topic.EXECUTION, "Running") for ask in plan.asks)
    return plan._replace(
        job=running,
        history=plan.history + requested + job_event(running, "Running", Topic.STATE_UPDATE, around.now) + told,
    )


def _of_execution(execution: Execution, topic: Topic, text: str, **details: str) -> HistoryEntry:
    event = make_event(topic, text, execution.create_time, **details)
    return HistoryEntry(
        job_id=execution.job_id, job_version=execution.job_version, event=event, execution_id=execution.id
    )


def _wait(job: Job, plan: Plan, now: int) -> Plan:
    limits = limits_of(job)
    deadline = job.submitted + limits.queue_timeout * SECOND if limits.queue_timeout else 0
    if deadline and now >= deadline:
        text = f"timed out after {limits.queue_timeout} s in the queue: {plan.waiting}"
        return fail(
            job,
            (),
            text,
            "increase --queue-timeout, free capacity or start a node that takes it",
            now,
            topic=Topic.QUEUEING,
        )
    total = job.submitted + limits.total_timeout * SECOND if limits.total_timeout else 0
    same = (
        job.state.state_type == JobStateType.QUEUED
        and job.state.message.partition(":")[0] == plan.waiting.partition(":")[0]
    )
    queued = None if same else job.moved(JobStateType.QUEUED, now, plan.waiting)
    history = plan.history + job_event(queued, f"Job queued. {plan.waiting}", Topic.QUEUEING, now)
    return plan._replace(job=queued, history=history, next_evaluation=earliest(plan.next_evaluation, deadline, total))


def job_event(job: Job | None, text: str, topic: Topic, now: int, **details: str) -> tuple[HistoryEntry, ...]:
    if job is None:
        return ()
    event = make_event(topic, text, now, NewState=job.state.state_type, **details)
    return (HistoryEntry(job_id=job.id, job_version=job.version, event=event),)


def finish(job: Job, now: int) -> Plan:
    done = job.moved(JobStateType.COMPLETED, now)
    return Plan(job=done, history=job_event(done, "Completed", Topic.STATE_UPDATE, now))


def fail(
    job: Job, live: Iterable[Execution], message: str, hint: str, now: int, *, topic: Topic = Topic.STATE_UPDATE
) -> Plan:
    failed = job.moved(JobStateType.FAILED, now, message)
    details = {"IsError": "true"} | ({"Hint": hint} if hint else {})
    stopped = stop_all(live, ENDS[JobStateType.FAILED], now)
    return stopped._replace(
        job=failed, history=job_event(failed, f"Failed. {message}", topic, now, **details) + stopped.history
    )


def stop_all(live: Iterable[Execution], why: str, now: int) -> Plan:
    """Plan the end of a slice of the executions; where these are more, the plan is partial."""
    left = iter(live)
    cancels = tuple(e.moved(ComputeStateType.CANCELLED, now, why, why=why) for e in islice(left, SLICE))
    history = tuple(
        HistoryEntry(
            job_id=e.job_id, job_version=e.job_version, event=make_event(Topic.SCHEDULING, why, now), execution_id=e.id
        )
        for e in cancels
    )
    return Plan(cancels=cancels, history=history, is_partial=next(left, None) is not None)


@lru_cache(SHARED)
def _allocate(task: str, need: Resources) -> AllocatedResources:
    """Make the reservation of one execution. All executions of a job share the value."""
    return AllocatedResources(tasks={task: need})


def new_execution(job: Job, index: int, node_id: str, need: Resources, around: Context) -> Execution:
    return Execution(
        id=next(around.new_ids),
        namespace=job.namespace,
        eval_id=around.eval_id,
        node_id=node_id,
        job_id=job.id,
        job=job,
        job_version=job.version,
        allocated_resources=_allocate(job.task.name, need),
        desired_state=WANTED,
        compute_state=PLACED,
        partition_index=index,
        revision=1,
        create_time=around.now,
        modify_time=around.now,
    )
