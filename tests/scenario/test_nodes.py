"""Nodes that freeze, die, are rejected or drained while they have work: it goes elsewhere, is published once, and
nothing is left behind.
"""

import os
import signal
from contextlib import contextmanager

import httpx
import pytest

from bacalhau.app.identity import load_identity
from tests.scenario.test_tasks import WILLING
from tests.support.containers import HOLD
from tests.support.system import OUTPUTS, System, new_node_name, s3_publisher
from tests.support.until import until

GRACE = 3
SECOND = new_node_name()
NODES = "/api/v1/orchestrator/nodes"


@pytest.fixture
def pair(docker_url, docker_image, tmp_path):
    """A system whose second node is not started yet, so that the first gets the work."""
    settings = {"Orchestrator.NodeManager.LostGrace": f"{GRACE}s"}
    with System(tmp_path / "system", docker_url, image=docker_image, split=True, settings=settings) as system:
        system.second = system.add_node(system.folder / "second", "--name", SECOND)
        yield system


def start_second(system):
    mark = len(system.orchestrator.lines)
    system.second.start()
    system.orchestrator.until(f"node {SECOND} joined", mark)


@contextmanager
def frozen(process):
    os.kill(process.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.child.pid, signal.SIGCONT)


def change(system, node_id, action, **more):
    answer = httpx.put(f"{system.url}{NODES}/{node_id}", json={"Action": action, **more}, timeout=30)
    assert answer.status_code == 200, answer.text


def states(system, job_id):
    return [(e.node_id, e.state.label) for e in system.client.executions(job_id)]


def test_a_node_that_froze_before_publishing_does_not_publish_when_it_thaws(pair, containers, s3, bucket):
    publisher = s3_publisher(s3.url, bucket, "result/{jobID}")
    job_id = pair.submit(f"{HOLD}; hostname > /outputs/who", ResultPaths=OUTPUTS, Publisher=publisher)
    containers.until("start", job_id)
    start_second(pair)
    mark = len(pair.orchestrator.lines)
    with frozen(pair.node):
        pair.orchestrator.until(f"node {pair.node_id} left", mark)
        containers.let_go(job_id)  # its task ends while it cannot see it
        containers.until("start", job_id, 2)
        containers.let_go(job_id)
        assert pair.client.wait(job_id, 60).state.state_type == "Completed"
        (published,) = s3.boto.list_objects_v2(Bucket=bucket)["Contents"]
    pair.orchestrator.until(f"node {pair.node_id} joined", mark)
    containers.until("destroy", job_id, 2)
    awake = pair.run(
        "echo awake",
        job={"Constraints": [{"Key": "name", "Operator": "=", "Values": [pair.node_id]}]},
        Publisher=publisher,
    )
    assert awake.state.state_type == "Completed"
    after = {entry["Key"]: entry for entry in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]}
    assert len(after) == 2 and after[published["Key"]] == published
    assert sorted(states(pair, job_id)) == sorted([(pair.node_id, "Failed"), (SECOND, "Completed")])
    assert len(pair.client.results(job_id)) == 1


def test_who_is_cut_off_in_the_middle_of_its_work_publishes_after_the_break(pair, containers, s3, bucket):
    """The orchestrator is away when the task ends: the node waits with its result, and then publishes it, once."""
    job_id = pair.submit(HOLD, ResultPaths=OUTPUTS, Publisher=s3_publisher(s3.url, bucket, "result/{jobID}"))
    containers.until("start", job_id)
    node_mark = len(pair.node.lines)
    pair.orchestrator.kill()
    containers.let_go(job_id)
    pair.node.until("waits for the orchestrator", node_mark)
    assert s3.boto.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    pair.start()
    assert pair.client.wait(job_id, 60).state.state_type == "Completed"
    assert s3.boto.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert states(pair, job_id) == [(pair.node_id, "Completed")]


def test_a_dead_nodes_work_is_placed_elsewhere_and_its_container_is_removed_when_it_comes_back(pair, containers):
    job_id = pair.submit(HOLD)
    containers.until("start", job_id)
    start_second(pair)
    mark = len(pair.orchestrator.lines)
    pair.node.kill()
    pair.orchestrator.until(f"node {pair.node_id} left", mark)
    containers.until("start", job_id, 2)
    pair.node.start()
    pair.orchestrator.until(f"node {pair.node_id} joined", mark)
    containers.until_none_is_left(pair.node_id)
    containers.let_go(job_id)
    assert pair.client.wait(job_id, 60).state.state_type == "Completed"
    assert sorted(states(pair, job_id)) == sorted([(pair.node_id, "Failed"), (SECOND, "Completed")])


def test_a_rejected_node_loses_its_work_at_once_and_cannot_come_back_until_it_is_approved(pair, containers):
    job_id = pair.submit(HOLD)
    containers.until("start", job_id)
    start_second(pair)
    mark, node_mark = len(pair.orchestrator.lines), len(pair.node.lines)
    change(pair, pair.node_id, "reject", Message="not mine")
    containers.until("start", job_id, 2)
    containers.until_none_is_left(pair.node_id)
    pair.node.until(f"refuses node {pair.node_id}", node_mark)
    lost = next(e for e in pair.client.executions(job_id) if e.node_id == pair.node_id)
    assert "has been rejected" in lost.compute_state.message
    change(pair, pair.node_id, "approve")
    pair.orchestrator.until(f"node {pair.node_id} joined", mark)
    containers.let_go(job_id)
    assert pair.client.wait(job_id, 60).state.state_type == "Completed"


def test_draining_lets_work_finish_and_moves_it_when_the_deadline_has_come(pair, containers):
    patient, urgent = pair.submit(HOLD), pair.submit(HOLD)
    everywhere, daemon = (
        pair.submit(HOLD, job={"Type": "ops", "Count": 0}),
        pair.submit(WILLING.format("true"), job={"Type": "daemon", "Count": 0}),
    )
    for job_id in (patient, urgent, everywhere, daemon):
        containers.until("start", job_id)
    start_second(pair)
    for job_id in (everywhere, daemon):
        containers.until("start", job_id, 2)
    change(pair, pair.node_id, "drain")
    containers.until("destroy", daemon)
    # The container goes before the orchestrator hears that it has gone.
    moved = sorted([(pair.node_id, "Cancelled"), (SECOND, "BidAccepted")])
    until(lambda: sorted(states(pair, daemon)) == moved, "the daemon job has left the drained node")
    containers.let_all_go(everywhere)
    assert pair.client.wait(everywhere, 60).state.state_type == "Completed"
    assert sorted(states(pair, everywhere)) == sorted([(pair.node_id, "Completed"), (SECOND, "Completed")])
    containers.let_go(patient)
    assert pair.client.wait(patient, 60).state.state_type == "Completed"
    mark = len(pair.orchestrator.lines)
    change(pair, pair.node_id, "drain", Deadline=1)
    containers.until("start", urgent, 2)
    pair.orchestrator.until(f"node {pair.node_id} is drained", mark)
    containers.until_none_is_left(pair.node_id)
    containers.let_go(urgent)
    assert pair.client.wait(urgent, 60).state.state_type == "Completed"
    assert states(pair, patient) == [(pair.node_id, "Completed")]
    assert sorted(states(pair, urgent)) == sorted([(pair.node_id, "Cancelled"), (SECOND, "Completed")])
    assert len(states(pair, daemon)) == 2


def test_a_new_node_waits_for_approval_and_a_deleted_one_is_new_again(start_system, containers):
    system = start_system(
        split=True,
        settings={
            "Orchestrator.NodeManager.ManualApproval": "true",
            "Orchestrator.Auth.Token": "t",
            "Compute.Auth.Token": "t",
        },
    )
    node_id = load_identity(system.node_dir).id
    job = {"Timeouts": {"QueueTimeout": 120}}
    job_id = system.submit("echo approved", **job)
    assert system.client.get_job(job_id).state.state_type in ("Pending", "Queued")
    change(system, node_id, "approve")
    assert system.client.wait(job_id, 60).state.state_type == "Completed"
    mark = len(system.orchestrator.lines)
    change(system, node_id, "delete")
    system.orchestrator.until(f"node {node_id} joined and waits for approval", mark)
    waiting = system.submit("echo new", **job)
    change(system, node_id, "approve")
    assert system.client.wait(waiting, 60).state.state_type == "Completed"
