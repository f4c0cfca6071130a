"""A job that never ends, or is run again and again, and a node that never comes back, cost no more after a year than
after a week.
"""

import logging

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.scheduling.spent import list_spent
from bacalhau.orchestrator.state.forgotten import PAUSE, SLICE
from bacalhau.orchestrator.state.limits import SECOND, limits_of
from bacalhau.orchestrator.state.specs import LARGE
from bacalhau.ports.store import Limits

log = logging.getLogger(__name__)


async def trim(orch: Orchestrator) -> None:
    """Ended executions, events and versions beyond the limits of one job, and messages for nodes that are away for too
    long.
    """
    wanted = orch.retention
    executions = limits_of(wanted.executions_age, wanted.executions_count)
    history, versions = Limits(keep=wanted.history_count), Limits(keep=wanted.versions_count)
    if any(executions + history + versions):
        for job_id in await orch.store.list_long_jobs(executions, history, versions):
            await _trim_job(orch, job_id, executions)
            await Signal().wait(PAUSE)
    _give_up_messages(orch)
    await orch.store.forget_messages_to_strangers()
    for node_id in orch.outbox.names():
        if orch.cluster.get(node_id) is None:
            orch.outbox.forget(node_id)


async def _trim_job(orch: Orchestrator, job_id: str, limits: Limits) -> None:
    view = (await orch.views.load(orch.store, [job_id])).get(job_id)
    spent = list_spent(view, limits, frozenset(orch.cluster.candidates.by_id), now_ns()) if view else ()
    for start in range(0, len(spent), SLICE):
        gone = await orch.store.forget_executions(job_id, [e.id for e in spent[start : start + SLICE]])
        orch.views.forget(job_id)
        await orch.forgetting.tell(gone)
        count = len(gone.execution_ids)
        log.info("%d ended executions of job %s were old, or too many, and are forgotten", count, job_id)
        await Signal().wait(PAUSE)
    keep = orch.retention.history_count
    while keep and await orch.store.forget_history(job_id, keep, SLICE):
        await Signal().wait(PAUSE)
    if orch.retention.versions_count:
        before = await orch.store.list_large_versions([job_id], LARGE)
        await orch.store.forget_versions(job_id, orch.retention.versions_count)
        kept = {job.version for job in await orch.store.list_large_versions([job_id], LARGE)} if before else set()
        await orch.specs.remove(job for job in before if job.version not in kept)


def _give_up_messages(orch: Orchestrator) -> None:
    """The node is told by its handshake what it must stop, should it come back after all."""
    if not orch.retention.undelivered_age:
        return
    for node_id in orch.cluster.idle_and_away(now_ns() - int(orch.retention.undelivered_age * SECOND)):
        if count := orch.outbox.abandon(node_id):
            log.info("%d messages for node %s are given up: it is away for too long", count, node_id)
