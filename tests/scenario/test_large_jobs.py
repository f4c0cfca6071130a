"""Jobs far larger than a message: they run, over restarts, and never stand in the way of others."""

import json

import pytest

from tests.support.system import System

NOWHERE = "unix:///nowhere/docker.sock"  # no container is needed


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    settings = {"Compute.AllocatedCapacity.CPU": 16, "Compute.AllocatedCapacity.Memory": "64gb"}
    with System(tmp_path_factory.mktemp("large"), NOWHERE, split=True, settings=settings) as made:
        yield made


def a_job(text, *, count=1, **params):
    """Says a text that is escaped to six times its size on the way to the node."""
    engine = {"Type": "noop", "Params": {"Stdout": text, **params}}
    task = {"Name": "main", "Engine": engine, "Resources": {"CPU": "0.1", "Memory": "1mb"}, "Env": {"TEXT": text}}
    return {"Type": "batch", "Count": count, "Tasks": [task]}


def test_jobs_that_grow_on_the_wire_disable_no_node(system):
    small = [system.client.submit(a_job("x", Sleep=600)) for _ in range(3)]
    large = [system.client.submit(a_job("<" * 200_000)) for _ in range(80)]
    for job_id in small:
        system.client.stop(job_id)
    for job_id in large:
        job = system.client.wait(job_id, 120)
        assert job.state.state_type == "Completed", job.state.message
    assert system.output(large[-1]) == "<" * 2048
    assert system.client.wait(system.client.submit(a_job("well")), 30).state.state_type == "Completed"


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_a_large_job_file_runs_whole_in_all_its_parts(system, size, tmp_path):
    """Its text comes twice."""
    text = "a<b>" * (size // 8)
    (tmp_path / "job.json").write_text(json.dumps(a_job(text, count=4)))
    done = system.cli("job", "run", "--id-only", "--wait", tmp_path / "job.json")
    job_id = done.stdout.split()[0]
    assert system.client.wait(job_id, 60).state.state_type == "Completed"
    assert {e.run_output.stdout for e in system.client.executions(job_id)} == {text[:2048]}


def test_a_large_job_waits_for_its_node_over_a_restart_of_both(system):
    system.node.kill()
    job_id = system.client.submit(a_job("<" * 1_000_000, count=3))
    system.orchestrator.kill()
    system.start()
    assert system.client.wait(job_id, 60).state.state_type == "Completed"
