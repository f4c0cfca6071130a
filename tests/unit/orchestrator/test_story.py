"""An operator reads in the log what became of jobs and nodes, with their ids, one line each."""

import logging

import pytest

from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.nodes.handshake import on_gone, on_request
from bacalhau.ports.bus import Delivery
from tests.unit.orchestrator.house import open_house, wanted


@pytest.fixture
def lines(caplog):
    """The lines at level info and above, as `LEVEL text`."""
    caplog.set_level(logging.INFO)
    return lambda: [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


async def submit(house, name, **how):
    job = wanted(name, **how)
    return (await submit_job(house.orch, job, force=False, warnings=())).job_id


async def test_jobs_that_run_end_wait_and_are_stopped_are_in_the_log(tmp_path, lines):
    async with open_house(tmp_path) as house:
        await house.join("n-1", cpu=1)
        first, second = await submit(house, "first"), await submit(house, "second")
        await house.settle()
        (running,) = await house.live()
        await house.tell(running, "failed")
        await house.settle()
        await stop_job(house.orch, second, "default", "not needed")
    told = lines()
    assert f"INFO job {first} (first): Running" in told
    assert any(line.startswith(f"INFO job {second} (second): Queued: ") for line in told)
    assert any(line.startswith(f"WARNING execution {running.id} of job {first} on node n-1 failed") for line in told)
    assert any(line.startswith(f"INFO job {second} (second): Stopped: ") and "not needed" in line for line in told)
    assert len(told) == len(set(told))


async def test_a_job_that_failed_is_a_warning_with_its_reason(tmp_path, lines):
    async with open_house(tmp_path) as house:
        job_id = await submit(house, "alone")
        await house.settle()
    assert any(line.startswith(f"WARNING job {job_id} (alone): Failed: ") for line in lines())


async def test_nodes_that_go_come_back_and_lose_an_engine_are_in_the_log(tmp_path, lines):
    async with open_house(tmp_path) as house:
        await house.join("n-1")
        on_gone(house.orch, "n-1")
        await house.join("n-1")
        for engines, unavailable in (((), {"noop engine": "it is away"}), (("noop",), {})):
            compute = ComputeNodeInfo(execution_engines=engines, unavailable=unavailable)
            told = m.UpdateNodeInfoRequest(node_info=NodeInfo(node_id="n-1", compute_node_info=compute))
            await on_request(house.orch, Delivery("n-1", "UpdateNodeInfoRequest", told))
    assert lines() == [
        "INFO node n-1 joined",
        "INFO node n-1 left: the connection was closed",
        "INFO node n-1 joined",
        "WARNING node n-1 takes no noop jobs any more: it is away",
        "INFO node n-1 takes noop jobs again",
    ]
