"""Services, ops and daemons, versions of them, retries and stops, as a user sees them: real nodes, real containers."""

import json
import re
import subprocess

import pytest

from bacalhau.app.identity import load_identity
from bacalhau.lib.clock import from_rfc3339
from tests.scenario.test_tasks import WILLING
from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import s3_input, s3_publisher, shell_job
from tests.support.until import until

SMALL = {"CPU": "0.1", "Memory": "16mb"}


@pytest.fixture(scope="module")
def pair(start_system):
    """An orchestrator and a node of two CPUs; a second node starts when a test wants it."""
    settings = {
        "Compute.AllocatedCapacity.CPU": 2,
        "Compute.AllocatedCapacity.Memory": "8gb",
        "Compute.AllowListedLocalPaths": "/srv/another/**",
    }
    return start_system(split=True, settings=settings)


def endless(system, kind, name, text="up", **job):
    return system.submit(
        WILLING.format(f"echo {text}"),
        job={"Type": kind, "Name": name, "Count": job.pop("count", 1)} | job,
        Resources=SMALL,
    )


def executions(system, job_id, version=0):
    found = system.client.executions(job_id)
    return [e for e in found if version in (0, e.job_version)]


def live(system, job_id):
    return [e for e in system.client.executions(job_id) if e.is_live]


def rerun(system, job_id, version=0):
    return system.client.rerun(job_id, version=version).job_version


def test_more_executions_than_nodes_share_what_there_is(pair):
    job = pair.run(
        "echo $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT",
        job={"Count": 5},
        Resources={"CPU": "1", "Memory": "16mb"},
    )
    assert job.state.state_type == "Completed"
    assert sorted(e.run_output.stdout for e in executions(pair, job.id)) == [f"{n} of 5\n" for n in range(5)]


def test_a_job_of_no_executions_is_complete(pair):
    assert pair.run("true", job={"Count": 0}).state.state_type == "Completed"


def test_a_service_is_started_again_when_it_ends_and_stops_for_good(pair, containers, docker_url):
    job_id = endless(pair, "service", "web", count=2)
    first = containers.until("start", job_id, 2)[0].container
    subprocess.run(["docker", "--host", docker_url, "kill", first], check=True, capture_output=True)
    again = containers.until("start", job_id, 3)[-1].container
    logs = ["docker", "--host", docker_url, "logs", again]
    until(lambda: subprocess.run(logs, check=True, capture_output=True).stdout == b"up\n", "it hears signals")
    ended = next(e for e in executions(pair, job_id) if e.state == 10)
    assert (ended.compute_state.message, ended.compute_state.details["FailureKind"]) == (
        "execution completed unexpectedly",
        "ended",
    )
    assert ended.run_output.exit_code == 137
    assert pair.client.get_job(job_id).state.state_type == "Running"
    pair.client.stop(job_id, reason="enough")
    containers.until("destroy", job_id, 3)
    until(
        lambda: all("EndedAt" in (e.compute_state.details or {}) for e in executions(pair, job_id) if e.state == 11),
        "the ends of what was stopped",
    )
    stopped = [e for e in executions(pair, job_id) if e.state == 11]
    assert [(e.run_output.stdout, e.run_output.exit_code) for e in stopped] == [("up\n", 0)] * 2
    assert pair.client.get_job(job_id).state.message == "enough"


def test_what_never_ends_runs_on_over_restarts_of_its_node_and_of_the_orchestrator(pair, containers):
    jobs = [endless(pair, "service", "steady", count=2), endless(pair, "daemon", "steady-agent", count=0)]
    containers.until("start", jobs[0], 2)
    containers.until("start", jobs[1])
    before = [{e.id for e in live(pair, job_id)} for job_id in jobs]
    for victim in (pair.orchestrator, pair.node):
        victim.kill()
        mark = len(pair.orchestrator.lines)
        victim.start()
        pair.until_joined(mark)
    assert pair.run("true", Resources=SMALL).state.state_type == "Completed"
    assert [{e.id for e in executions(pair, job_id)} for job_id in jobs] == before
    assert [len(containers.seen("start", job_id=job_id)) for job_id in jobs] == [2, 1]
    for job_id, count in zip(jobs, (2, 1), strict=True):
        pair.client.stop(job_id)
        containers.until("destroy", job_id, count)


def test_a_stop_reaches_an_execution_that_stages_or_publishes(pair, containers, s3, bucket):
    s3.fill(bucket, {"in/slow": b"slow"})
    with Gate(s3.url) as gate:
        held = [gate.hold(f"GET /{bucket}/in/slow"), gate.hold(f"PUT /{bucket}/out/")]
        staging = pair.submit("true", InputSources=[s3_input(gate.url, bucket, "in/*")], Resources=SMALL)
        publishing = pair.submit(
            "echo done", Publisher=s3_publisher(gate.url, bucket, "out/{executionID}"), Resources=SMALL
        )
        for each in held:
            each.until_reached()
        for job_id in (staging, publishing):
            pair.client.stop(job_id, reason="enough")
            until(
                lambda job_id=job_id: "EndedAt" in (executions(pair, job_id)[0].compute_state.details or {}),
                "the end of what was stopped",
            )
            assert pair.client.get_job(job_id).state.state_type == "Stopped"
            assert [e.state.label for e in executions(pair, job_id)] == ["Cancelled"]
    assert containers.seen("start", job_id=staging) == []
    assert executions(pair, publishing)[0].run_output.stdout == "done\n"
    assert not pair.client.results(publishing)
    containers.until("destroy", publishing)


def test_a_new_version_of_a_service_replaces_the_old_one(pair, containers):
    job_id = endless(pair, "service", "rolling", "one", count=3)
    containers.until("start", job_id, 3)
    assert endless(pair, "service", "rolling", "two", count=2) == job_id
    containers.until("destroy", job_id, 3)
    until(lambda: [e.job_version for e in live(pair, job_id)] == [2, 2], "two executions of the second version")
    assert rerun(pair, job_id, 1) == 3
    until(lambda: [e.job_version for e in live(pair, job_id)] == [3, 3, 3], "three executions like the first version")
    pair.client.stop(job_id)
    containers.until("destroy", job_id, 8)


def test_ops_runs_once_and_a_daemon_also_on_a_node_that_joins(pair, containers, tmp_path):
    daemon = endless(pair, "daemon", "agent", count=0)
    ops = pair.submit(f"echo here; {HOLD}", job={"Type": "ops", "Count": 0}, Resources=SMALL)
    containers.until("start", daemon)
    containers.until("start", ops)
    joins = pair.add_node(tmp_path / "second")
    joins.start()
    containers.until("start", daemon, 2)
    containers.until("start", ops, 2)
    assert len({e.node_id for e in live(pair, daemon)}) == 2
    joined = load_identity(joins.folder).id
    since = from_rfc3339(pair.client.node(joined).connection_state.connected_since)
    assert {
        e.create_time - since < 1_000_000_000
        for job_id in (daemon, ops)
        for e in live(pair, job_id)
        if e.node_id == joined
    } == {True}
    containers.let_all_go(ops)
    assert pair.client.wait(ops, 60).state.state_type == "Completed"
    assert [e.run_output.stdout for e in executions(pair, ops)] == ["here\n"] * 2
    pair.client.stop(daemon)
    containers.until("destroy", daemon, 2)
    joins.stop()


def test_a_job_goes_to_the_node_that_has_its_folder_and_waits_there_for_its_turn(pair, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("only here")
    place = {
        "Compute.Orchestrators": f"nats://127.0.0.1:{pair.nats_port}",
        "Compute.AllowListedLocalPaths": tmp_path / "data",
    }
    holder = pair.process(tmp_path / "holder", ["--compute", "--name", "n-holder"], pair.settings | place)
    mark = len(pair.orchestrator.lines)
    holder.start()
    pair.orchestrator.until("node n-holder joined", mark)
    mounted = {
        "InputSources": [
            {"Source": {"Type": "local", "Params": {"SourcePath": str(tmp_path / "data")}}, "Target": "/in"}
        ]
    }
    job = pair.run("cat /in/f", job={"Count": 3}, Resources={"CPU": "1", "Memory": "16mb"}, **mounted)
    assert (job.state.state_type, job.state.message) == ("Completed", "")
    assert [(e.node_id, e.run_output.stdout) for e in executions(pair, job.id)] == [("n-holder", "only here")] * 3
    (tmp_path / "job.json").write_text(json.dumps(shell_job(pair.image, "true", Resources=SMALL, **mounted)))
    assert re.search(r"n-holder +yes +/in\b", pair.cli("job", "explain", tmp_path / "job.json").stdout)
    told = json.loads(pair.cli("job", "explain", tmp_path / "job.json", "--output", "json").stdout)["Nodes"]
    reasons = {node["NodeID"]: (node["Reason"], node["Never"]) for node in told}
    assert reasons[pair.node_id] == (f"volume {tmp_path / 'data'} is not allowlisted", True)
    assert holder.stop() == 0


def test_an_ops_job_that_fails_somewhere_fails(pair):
    job = pair.run("true", engine={"Parameters": ["no-such-program"]}, job={"Type": "ops", "Count": 0}, Resources=SMALL)
    assert job.state.state_type == "Failed"
    assert "no-such-program" in job.state.message
    assert len(executions(pair, job.id)) == 1


def test_an_exit_code_is_retried_where_the_job_says_so(pair):
    job = pair.run("echo tried; exit 3", Retry={"Max": 1, "Backoff": 0, "On": ["exit-code"]}, Resources=SMALL)
    assert (job.state.state_type, job.state.message) == ("Failed", "the task ended with exit code 3")
    tried = executions(pair, job.id)
    assert [(e.run_output.stdout, e.run_output.exit_code, e.compute_state.details["FailureKind"]) for e in tried] == [
        ("tried\n", 3, "exit-code")
    ] * 2


def test_a_stopped_job_keeps_what_it_printed_and_says_when_it_ended(pair, containers):
    job_id = pair.submit(WILLING.format("echo early"), Resources=SMALL)
    containers.until("start", job_id)
    until(lambda: pair.cli("job", "logs", job_id).stdout == "early\n", "its output")
    pair.client.stop(job_id)
    until(
        lambda: "Stopped with exit code 0" in [item.event.message for item in pair.client.history(job_id).items],
        "the end of what was stopped",
    )
    [stopped] = executions(pair, job_id)
    assert stopped.run_output.stdout == "early\n"
    assert stopped.compute_state.details["EndedAt"] and stopped.state.label == "Cancelled"
    containers.until("destroy", job_id)


def test_a_kill_between_the_stop_and_the_end_loses_neither(pair, containers):
    job_id = pair.submit("trap '' TERM; echo early; sleep 600 & wait; wait", Resources=SMALL)
    containers.until("start", job_id)
    pair.client.stop(job_id)
    pair.node.kill()
    mark = len(pair.orchestrator.lines)
    pair.node.start()
    pair.until_joined(mark)
    until(lambda: "EndedAt" in (executions(pair, job_id)[0].compute_state.details or {}), "the end of what was stopped")
    assert len(containers.until("destroy", job_id)) == 1


def test_the_large_job_at_the_front_of_the_queue_runs_after_what_holds_its_room(pair, containers):
    first = pair.submit(HOLD, Resources={"CPU": "1.5", "Memory": "16mb"})
    containers.until("start", first)
    large = pair.submit("echo large", job={"Priority": 5}, Resources={"CPU": "2", "Memory": "16mb"})
    until(lambda: pair.client.get_job(large).state.state_type == "Queued", "the large job waits")
    assert pair.client.get_job(large).state.details == {"QueuePosition": "1"}
    containers.let_go(first)
    assert pair.client.wait(large, 60).state.state_type == "Completed"


def test_an_explanation_counts_what_the_inputs_hold(pair, s3, bucket):
    s3.fill(bucket, {"a/1": b"one", "a/2": b"two"})
    good, bad = (s3_input(s3.url, bucket, key, f"/{key[0]}") for key in ("a/", "none/"))
    answer = pair.client.explain(shell_job(pair.image, "true", InputSources=[good, bad], Resources=SMALL))
    assert answer.node_id == pair.node_id
    assert [(i.target, i.type, i.objects, i.bytes) for i in answer.inputs] == [("/a", "s3", 2, 6), ("/n", "s3", 0, 0)]
    assert bucket in answer.inputs[1].error
