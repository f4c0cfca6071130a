"""More jobs than a node has room for: nothing is refused, nothing is overbooked, and a job that waits says why."""

import pytest

from bacalhau.lib.ids import short_id
from tests.support.containers import HOLD

ROOM, JOBS = 4, 40


@pytest.fixture(scope="module")
def small(start_system):
    """Room for four containers of half a core."""
    return start_system(settings={"Compute.AllocatedCapacity.CPU": "2", "Compute.AllocatedCapacity.Memory": "4gb"})


def half_core(system, script, **changes):
    return system.submit(script, Resources={"CPU": "500m", "Memory": "64mb"}, **changes)


def test_a_burst_of_jobs_all_completes_and_never_overbooks_the_node(small, containers):
    before = len(containers.seen("start", node_id=small.node_id))
    jobs = [half_core(small, f"echo {number}") for number in range(JOBS)]
    for number, job_id in enumerate(jobs):
        job = small.client.wait(job_id, 120)
        assert (job.state.state_type, job.state.message) == ("Completed", "")
        assert small.output(job_id) == f"{number}\n"
    for job_id in jobs:
        containers.until("die", job_id)
    assert len(containers.seen("start", node_id=small.node_id)) - before == JOBS
    assert containers.most_at_once(small.node_id) <= ROOM
    containers.until_none_is_left(small.node_id)


def test_a_queued_job_says_why_and_starts_when_there_is_room(small, containers):
    whole = {"CPU": "2", "Memory": "64mb"}
    first = small.submit(HOLD, Resources=whole)
    containers.until("start", first)
    second = small.submit("echo second", Resources=whole)
    small.until_event(second, lambda item: (item.event.details or {}).get("NewState") == "Queued")
    job = small.client.get_job(second)
    assert job.state.state_type == "Queued"
    assert short_id(small.node_id) in job.state.message
    assert "CPU" in job.state.message
    assert job.state.message in small.cli("job", "describe", second).stdout
    containers.let_go(first)
    assert small.client.wait(second, 60).state.state_type == "Completed"
    assert small.output(second) == "second\n"


def test_higher_priority_goes_first(small, containers):
    whole = {"CPU": "2", "Memory": "64mb"}
    first = small.submit(HOLD, Resources=whole)
    containers.until("start", first)
    low = small.submit("true", Resources=whole)
    high = small.submit("true", Resources=whole, job={"Priority": 5})
    for job_id in (low, high):
        small.until_event(job_id, lambda item: (item.event.details or {}).get("NewState") == "Queued")
    containers.let_go(first)
    for job_id in (low, high):
        assert small.client.wait(job_id, 60).state.state_type == "Completed"
    assert containers.seen("start", job_id=high)[0].time < containers.seen("start", job_id=low)[0].time


def test_a_job_whose_time_is_over_before_it_could_start(small, containers):
    whole = {"CPU": "2", "Memory": "64mb"}
    first = small.submit(HOLD, Resources=whole)
    containers.until("start", first)
    limits = {
        "timed out after 1 s: the job's total time limit is over": {"TotalTimeout": 1},
        "timed out after 1 s in the queue: ": {"QueueTimeout": 1},
    }
    jobs = {text: small.submit("true", Resources=whole, Timeouts=limit) for text, limit in limits.items()}
    for text, job_id in jobs.items():
        job = small.client.wait(job_id, 10)
        assert job.state.state_type == "Failed"
        assert job.state.message.startswith(text)
        assert containers.seen("create", job_id=job_id) == []
    containers.let_go(first)
    assert small.client.wait(first, 60).state.state_type == "Completed"


def test_a_queued_job_outlives_a_restart_of_everything(small, containers):
    whole = {"CPU": "2", "Memory": "64mb"}
    first = small.submit(f"{HOLD}; echo first", Resources=whole)
    containers.until("start", first)
    second = small.submit("echo second", Resources=whole)
    small.until_event(second, lambda item: (item.event.details or {}).get("NewState") == "Queued")
    small.kill()
    small.start()
    assert small.client.get_job(second).state.state_type == "Queued"
    containers.let_go(first)
    for job_id, text in ((first, "first\n"), (second, "second\n")):
        assert small.client.wait(job_id, 60).state.state_type == "Completed"
        assert small.output(job_id) == text
        assert len(containers.seen("start", job_id=job_id)) == 1
    small.stop()
    small.start()
    assert [small.client.get_job(job_id).state.state_type for job_id in (first, second)] == ["Completed", "Completed"]


def test_a_job_too_large_for_every_node_fails_at_once_with_the_numbers(small):
    job = small.run("true", Resources={"CPU": "64", "Memory": "64mb"})
    assert job.state.state_type == "Failed"
    assert short_id(small.node_id) in job.state.message
    assert "64" in job.state.message
