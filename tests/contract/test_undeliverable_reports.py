"""A report that no message server takes is replaced by one that says so, so that the job hears of its end."""

from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from bacalhau.bus.node import node_bus
from bacalhau.compute.core import FINISHED, ComputeNode, Plugins, Running
from bacalhau.compute.messages.control import shake_hands
from bacalhau.compute.messages.outbox import load_reports, report, report_forever
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import Signal, background, crew
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, RunCommandResult
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import ENGINE
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.store.journal import NodeJournal
from tests.contract.test_large_jobs import an_orchestrator
from tests.unit.store.samples import a_job, an_execution

TASK = replace(a_job(1).task, timeouts=Timeouts(queue_timeout=3600))
JOB = a_job(1, tasks=(TASK,))  # it waits after a failure, because no node has its engine
SENT = an_execution(JOB, 0)
EXECUTION = replace(SENT, compute_state=replace(SENT.compute_state, state_type=ComputeStateType.BID_ACCEPTED))
IDS = {"execution_id": EXECUTION.id, "job_id": JOB.id, "job_type": JOB.type}
TOO_LARGE = "x" * 2_000_000
WORDS = "the report to the orchestrator cannot be delivered: it is too large"


class Noted(Signal):
    """The news that an execution was given up."""

    async def give_up(self):
        self.fire()


@asynccontextmanager
async def a_node(folder, server):
    async with node_bus(server.url, "n-1", "secret") as bus, NodeJournal(folder / "j.db") as journal, crew() as people:
        node = ComputeNode("n-1", folder, journal, bus, Plugins({}, {}, {}), Capacity(Resources()), people)
        node.told = NodeInfo(node_id="n-1")
        await bus.connected(10)
        yield node


@pytest.fixture
async def orchestrator(tmp_path):
    async with an_orchestrator(tmp_path) as (orch, server):
        await orch.commit(Change(new_jobs=(JOB,), new_executions=(EXECUTION,)))
        yield orch, server


async def settled(node):
    """All reports are sent and forgotten."""
    while await node.journal.list_reports(0, 0) or node.reports.unsettled():
        await node.reports.settled.forget(lambda reports: node.journal.drop_reports([r.seq for r in reports]))


async def until_ended(orch):
    while (await orch.store.load_execution(EXECUTION.id))[0].is_live:
        await orch.store.list_nodes()
    return (await orch.store.load_execution(EXECUTION.id))[0]


async def test_a_result_that_is_too_large_fails_its_execution_and_says_why(orchestrator, tmp_path):
    orch, server = orchestrator
    result = m.RunResult(**IDS, run_command_result=RunCommandResult(stdout=TOO_LARGE))
    async with a_node(tmp_path / "n-1", server) as node:
        await report(node, EXECUTION.id, FINISHED, result)
    async with a_node(tmp_path / "n-1", server) as node:  # the next process has it in its journal
        node.running[EXECUTION.id] = Running(Noted().give_up)
        await load_reports(node)
        async with background(report_forever(node)):
            await shake_hands(node)
            ended = await until_ended(orch)
            await settled(node)
    assert ended.state == ComputeStateType.FAILED
    assert WORDS in ended.compute_state.message
    assert ended.failure_kind == ENGINE


async def test_an_execution_whose_bid_cannot_be_told_is_given_up(orchestrator, tmp_path):
    orch, server = orchestrator
    event = make_event(Topic.EXEC_SCANNING, TOO_LARGE, 1)
    async with a_node(tmp_path / "n-1", server) as node:
        given_up = Noted()
        node.running[EXECUTION.id] = Running(given_up.give_up)
        async with background(report_forever(node)):
            await shake_hands(node)
            await report(node, EXECUTION.id, "", m.BidResult(**IDS, accepted=True, events=(event,)))
            assert await given_up.wait(30)
            assert WORDS in (await until_ended(orch)).compute_state.message
            await settled(node)


async def test_a_replacement_that_cannot_be_delivered_either_is_the_last(orchestrator, tmp_path):
    _, server = orchestrator
    async with a_node(tmp_path / "n-1", server) as node, background(report_forever(node)):
        await shake_hands(node)
        ids = IDS | {"job_id": TOO_LARGE}
        await report(node, EXECUTION.id, FINISHED, m.RunResult(**ids))
        await settled(node)
        assert await node.journal.put_report("e-next", "", "RunResult", b"") == 3
