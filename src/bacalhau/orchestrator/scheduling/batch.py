"""The batch scheduler: a pure function from what is to what should happen next."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from bacalhau.lib.ids import short_id
from bacalhau.models.event import Topic, make_event
from bacalhau.models.execution import AllocatedResources, ComputeState, ComputeStateType, DesiredState, DesiredStateType, Execution
from bacalhau.models.job import Job, Timeouts
from bacalhau.models.job_state import JobStateType
from bacalhau.models.plan import HistoryEntry
from bacalhau.models.resources import Resources
from bacalhau.orchestrator.scheduling.leave import plan_departures
from bacalhau.orchestrator.scheduling.place import ENOUGH, explain, explain_waiting, needed_resources, place
from bacalhau.orchestrator.scheduling.retry import REFUSAL_HOLDS_NS, decide_retry, is_failure, list_refusals
from bacalhau.orchestrator.scheduling.view import Plan, Seat
from bacalhau.ports.store import JobView

SECOND = 1_000_000_000
NODE_DEADLINE_SLACK = 30 * SECOND  # the node enforces time limits itself; this is the backstop for a node that cannot


class Context(NamedTuple):
    """What surrounds the decision. `new_ids` yields fresh execution ids; `settled`: nodes had time to come back after a start."""

    seats: Sequence[Seat]
    now: int
    new_ids: Iterator[str]
    settled: bool = True


def plan_batch(view: JobView, around: Context) -> Plan:
    """One look at one job. Applying the same plan's outcome again changes nothing."""
    job = view.job
    live = [e for e in view.executions if e.is_live]
    if job.is_done:
        return _stop_all(live, "Execution stop requested because job has been stopped", around.now)
    timeout = (job.task.timeouts or Timeouts()).total_timeout
    if timeout and around.now >= job.create_time + timeout * SECOND + (NODE_DEADLINE_SLACK if live else 0):
        return _fail(job, live, f"timed out after {timeout} s", "increase --timeout or allocate more resources", around.now)
    seats = {s.node_id: s for s in around.seats} if live else {}
    left = plan_departures(live, seats, job.type, around.now, settled=around.settled)
    executions = {e.id: e for e in view.executions} | {e.id: e for e in left.updates + left.cancels}
    outdated = [e for e in executions.values() if e.is_live and e.job_version != job.version]
    current = [e for e in executions.values() if e.job_version == job.version]
    plan = _fill_partitions(job, current, around)
    stopped = _stop_all(outdated, "Execution stopped for job update", around.now)
    return plan._replace(
        updates=left.updates + plan.updates,
        cancels=left.cancels + plan.cancels + stopped.cancels,
        history=left.history + plan.history + stopped.history,
    )


def fail_job(view: JobView, message: str, hint: str, now: int) -> Plan:
    """The job ends here, whatever it has running."""
    return _fail(view.job, [e for e in view.executions if e.is_live], message, hint, now)


def _fill_partitions(job: Job, current: Sequence[Execution], around: Context) -> Plan:
    open_partitions = []
    done = 0
    by_partition: dict[int, list[Execution]] = {}
    for execution in current:
        by_partition.setdefault(execution.partition_index, []).append(execution)
    for index in range(job.wanted):
        mine = by_partition.get(index, [])
        if any(e.state == ComputeStateType.COMPLETED for e in mine):
            done += 1
        elif not any(e.is_live for e in mine):
            open_partitions.append((index, sorted((e for e in mine if is_failure(e)), key=lambda e: e.modify_time)))
    if done == job.wanted:
        return _finish(job, around.now)
    return _place_open(job, current, open_partitions, around)


def _place_open(job: Job, current: Sequence[Execution], open_partitions: list[tuple[int, list[Execution]]], around: Context) -> Plan:
    failures = Counter(e.node_id for e in current if is_failure(e))
    need = needed_resources(job)
    refusals = list_refusals(current, around.now)
    seats = list(around.seats)
    if refusals:
        seats = [s._replace(refused=refusals[s.node_id].compute_state.message) if s.node_id in refusals else s for s in seats]
    start = crc32(job.id.encode())  # everybody looks from somewhere else, so that all nodes get their share
    asks: list[Execution] = []
    waiting, look_again = "", 0
    for index, failed in open_partitions:
        verdict = decide_retry(failed)
        if verdict.give_up:
            return _fail(job, [e for e in current if e.is_live], verdict.give_up, verdict.hint, around.now)
        if verdict.not_before > around.now:
            waiting = f"retrying after: {failed[-1].compute_state.message}"
            look_again = min(look_again or verdict.not_before, verdict.not_before)
            continue
        placement = place(job, need, seats, failures, start + index * ENOUGH)
        if placement.node_id:
            asks.append(_new_execution(job, index, placement.node_id, need, around))
            seats[placement.place] = seats[placement.place]._replace(free=seats[placement.place].free.minus(need))
            continue
        if placement.is_hopeless and around.settled and not (job.task.timeouts or Timeouts()).queue_timeout:
            return _fail(job, [e for e in current if e.is_live], explain(job, placement.refusals), "see `bacalhau node list`", around.now)
        waiting = explain_waiting(placement.refusals)
        look_again = min((look_again, *(e.modify_time + REFUSAL_HOLDS_NS for e in refusals.values())), key=lambda at: at or math.inf)
        if placement.is_hopeless and not around.settled:
            look_again = min(look_again or around.now + SECOND, around.now + SECOND)
        break  # partitions are alike: what does not fit now does not fit for the next one either
    return _wait_or_run(job, Plan(asks=tuple(asks), waiting=waiting, look_again=look_again), any(e.is_live for e in current), around)


def _wait_or_run(job: Job, plan: Plan, has_live: bool, around: Context) -> Plan:
    if plan.waiting and not has_live and not plan.asks:
        limits = job.task.timeouts or Timeouts()
        limit = limits.queue_timeout
        deadlines = (job.create_time + seconds * SECOND for seconds in (limits.queue_timeout, limits.total_timeout) if seconds)
        if limit and around.now >= job.create_time + limit * SECOND:
            return _fail(job, [], f"queued for longer than {limit} s: {plan.waiting}", "increase --queue-timeout or free capacity", around.now)
        next_look = min(filter(None, (plan.look_again, *deadlines)), default=0)
        same = job.state.state_type == JobStateType.QUEUED and job.state.message.partition(":")[0] == plan.waiting.partition(":")[0]
        queued = None if same else job.moved(JobStateType.QUEUED, around.now, plan.waiting)
        return plan._replace(job=queued, history=_job_event(queued, f"Job queued. {plan.waiting}", Topic.QUEUEING, around.now), look_again=next_look)
    starts = (has_live or plan.asks) and job.state.state_type != JobStateType.RUNNING
    running = job.moved(JobStateType.RUNNING, around.now) if starts else None
    history = _job_event(running, "Running", Topic.STATE_UPDATE, around.now)
    for ask in plan.asks:
        event = make_event(Topic.SCHEDULING, f"Requested execution on {short_id(ask.node_id)}", around.now, NodeID=ask.node_id)
        history += (HistoryEntry(job_id=job.id, job_version=job.version, event=event, execution_id=ask.id),)
    return plan._replace(job=running, history=history)


def _job_event(job: Job | None, text: str, topic: Topic, now: int, **details: str) -> tuple[HistoryEntry, ...]:
    if job is None:
        return ()
    event = make_event(topic, text, now, NewState=job.state.state_type, **details)
    return (HistoryEntry(job_id=job.id, job_version=job.version, event=event),)


def _finish(job: Job, now: int) -> Plan:
    done = job.moved(JobStateType.COMPLETED, now)
    return Plan(job=done, history=_job_event(done, "Completed", Topic.STATE_UPDATE, now))


def _fail(job: Job, live: Sequence[Execution], message: str, hint: str, now: int) -> Plan:
    failed = job.moved(JobStateType.FAILED, now, message)
    details = {"IsError": "true"} | ({"Hint": hint} if hint else {})
    stopped = _stop_all(live, "Execution stopped due to job failure", now)
    return stopped._replace(job=failed, history=_job_event(failed, f"Failed. {message}", Topic.STATE_UPDATE, now, **details) + stopped.history)


def _stop_all(live: Sequence[Execution], why: str, now: int) -> Plan:
    cancels = tuple(e.moved(ComputeStateType.CANCELLED, now, why, why=why) for e in live)
    history = tuple(
        HistoryEntry(job_id=e.job_id, job_version=e.job_version, event=make_event(Topic.SCHEDULING, why, now), execution_id=e.id) for e in cancels
    )
    return Plan(cancels=cancels, history=history)


def _new_execution(job: Job, index: int, node_id: str, need: Resources, around: Context) -> Execution:
    return Execution(
        id=next(around.new_ids),
        namespace=job.namespace,
        node_id=node_id,
        job_id=job.id,
        job=msgspec.structs.replace(job),
        job_version=job.version,
        allocated_resources=AllocatedResources(tasks={job.task.name: need}),
        desired_state=DesiredState(state_type=DesiredStateType.RUNNING),
        compute_state=ComputeState(state_type=ComputeStateType.BID_ACCEPTED),
        partition_index=index,
        revision=1,
        create_time=around.now,
        modify_time=around.now,
    )
