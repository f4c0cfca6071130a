"""Outputs of what ran stay on the node when they cannot be published, whatever ends the publishing, and are published
later by one command, or as the first step of the next run.
"""

import logging
import socket
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer

from bacalhau.lib.errors import Conflict, NotFound, Unavailable
from bacalhau.lib.failpoint import VARIABLE, Point
from bacalhau.models.job.spec import SpecConfig
from tests.support.s3 import S3, boto_client
from tests.support.system import System, s3_publisher
from tests.support.until import until

NO_DOCKER = "unix:///nowhere/docker.sock"
SETTINGS = {
    "Engines.Disabled": "docker",
    "Compute.MaxInterruptions": 1000,
    "Compute.Heartbeat.Interval": "500ms",
    "Compute.AllocatedCapacity.CPU": 16,
}


@pytest.fixture(scope="module")
def s3():
    """A server on which a bucket is there only when somebody made it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto = boto_client(f"http://{host}:{port}")
    yield S3(f"http://{host}:{port}", boto)
    boto.close()
    server.stop()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with System(tmp_path_factory.mktemp("kept"), NO_DOCKER, split=True, settings=SETTINGS) as system:
        yield system


def job_to(publisher, **changes):
    task = {
        "Name": "main",
        "Engine": {"Type": "noop", "Params": {"Stdout": "computed"}},
        "Publisher": publisher,
        "Resources": {"CPU": "0.1", "Memory": "1mb"},
    }
    return {"Type": "batch", "Count": 1, "Tasks": [task | changes.pop("task", {})]} | changes


def missing_bucket(s3, key="kept/{executionID}"):
    """A publisher whose bucket is not there yet, and the bucket's name."""
    bucket = f"later-{uuid4()}"
    return s3_publisher(s3.url, bucket, key), bucket


def url_of(server):
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def until_kept(kept, job_id):
    """The executions of a job when its node has told that it keeps the outputs of all of them."""
    until(lambda: all(e.kept_until for e in kept.client.executions(job_id)), "the outputs are kept")
    return kept.client.executions(job_id)


def fail_publishing(kept, s3, **changes):
    """A job that ran and whose result could not be published."""
    publisher, bucket = missing_bucket(s3)
    job = kept.client.wait(kept.client.submit(job_to(publisher, **changes)), 60)
    return job, bucket


def test_a_failure_says_where_the_outputs_are_and_one_command_publishes_them(kept, s3, tmp_path):
    job, bucket = fail_publishing(kept, s3)
    (failed,) = kept.client.executions(job.id)
    assert (job.state.state_type, failed.compute_state.details["FailureKind"]) == ("Failed", "publish")
    assert failed.kept_until and int(failed.compute_state.details["KeptBytes"]) > 0
    hint = failed.compute_state.details["Hint"]
    assert hint.startswith(f"outputs are kept on node {failed.node_id[:10]} until ")
    assert f"UTC: bacalhau job publish {job.id}" in hint
    told = kept.cli("job", "publish", job.id, code=1)
    assert "was not published" in told.stderr
    assert f"bacalhau job publish {job.id}" in told.stderr
    s3.boto.create_bucket(Bucket=bucket)
    said = kept.cli("job", "publish", job.id, "-e", failed.id[:12])
    assert f"bacalhau job get {job.id}" in said.stdout
    until(lambda: kept.client.get_job(job.id).state.state_type == "Completed", "the job is complete")
    (done,) = kept.client.executions(job.id)
    assert (done.id, done.state.label, done.run_output.stdout) == (failed.id, "Completed", "computed")
    kept.cli("job", "get", job.id, "--output-dir", ".", cwd=tmp_path)
    assert (tmp_path / "stdout").read_text() == "computed"
    with pytest.raises(NotFound, match="no node keeps outputs"):
        kept.client.publish(job.id)


def test_another_publisher_may_be_named_and_is_checked(kept, s3, tmp_path):
    job, _ = fail_publishing(kept, s3)
    said = kept.cli("job", "publish", job.id, "-p", "s3://Not_A_Bucket!/k", code=1)
    assert "is not a bucket name" in said.stderr
    kept.cli("job", "publish", job.id, "-p", "local")
    assert kept.client.get_job(job.id).state.state_type == "Completed"
    kept.cli("job", "get", job.id, "--output-dir", ".", cwd=tmp_path)
    assert (tmp_path / "stdout").read_text() == "computed"


def test_a_stop_while_it_publishes_loses_nothing(kept):
    """A server that answers nothing holds the publishing up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = kept.client.submit(job_to(s3_publisher(url_of(silent), "b", "k/{executionID}")))
        silent.settimeout(30)
        connection, _ = silent.accept()
        kept.client.stop(name)
        (ended,) = until_kept(kept, name)
        connection.close()
    assert (kept.client.get_job(name).state.state_type, ended.state.label) == ("Stopped", "Cancelled")
    (done,) = kept.client.publish(name, SpecConfig(type="local"))
    assert done.state.label == "Completed"
    # The job's end follows from its execution's.
    until(lambda: kept.client.get_job(name).state.state_type == "Completed", "the job is completed")


def test_the_time_limit_while_it_publishes_loses_nothing(kept):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        task = {"Timeouts": {"TotalTimeout": 3}}
        name = kept.client.submit(job_to(s3_publisher(url_of(silent), "b", "k/{executionID}"), task=task))
        assert kept.client.wait(name, 60).state.state_type == "Failed"
        (ended,) = until_kept(kept, name)
    assert "while its result was published" in ended.compute_state.message
    (done,) = kept.client.publish(name, SpecConfig(type="local"))
    assert done.state.label == "Completed"


def test_a_run_again_begins_with_what_was_computed(kept, s3):
    job, bucket = fail_publishing(kept, s3, Count=2)
    before = kept.client.executions(job.id)
    s3.boto.create_bucket(Bucket=bucket)
    kept.client.rerun(job.id)
    again = kept.client.wait(job.id, 60)
    assert (again.state.state_type, again.version) == ("Completed", 2)
    results = {e.id: e.partition_index for e in kept.client.executions(job.id)}
    kept_ids = {e.id for e in before if e.kept_until}
    assert kept_ids
    assert kept_ids <= results.keys()
    assert sorted(results.values()) == [0, 1]


def test_a_job_that_runs_is_not_published_and_one_without_results_says_so(kept):
    name = kept.client.submit(job_to({"Type": ""}, task={"Engine": {"Type": "noop", "Params": {"Sleep": 60}}}))
    with pytest.raises(Conflict, match="outputs are published when it has ended"):
        kept.client.publish(name)
    kept.client.stop(name)
    with pytest.raises(NotFound, match="no node keeps outputs"):
        kept.client.publish(name)


@pytest.mark.parametrize("point", [Point.NODE_PUBLISHING, Point.OUTPUTS_KEPT, Point.NODE_TELLING, Point.NODE_TOLD])
def test_a_node_that_dies_while_it_keeps_outputs_has_them_afterwards(kept, s3, point):
    kept.node.kill()
    kept.node.start(**{VARIABLE: f"{point}=kill"})
    publisher, _ = missing_bucket(s3)
    name = kept.client.submit(job_to(publisher))
    kept.node.until_killed(60)
    kept.start()
    assert kept.client.wait(name, 60).state.state_type == "Failed"
    until_kept(kept, name)
    (done,) = kept.client.publish(name, SpecConfig(type="local"))
    assert done.state.label == "Completed"


@pytest.mark.parametrize("point", [Point.OUTPUTS_WANTED, Point.NODE_PUBLISHING, Point.NODE_PUBLISHED])
def test_a_node_that_dies_while_it_publishes_kept_outputs_goes_on(kept, s3, point):
    job, _ = fail_publishing(kept, s3)
    kept.node.kill()
    with pytest.raises(Unavailable, match="the node is away"):
        kept.client.publish(job.id)
    mark = len(kept.orchestrator.lines)
    kept.node.start(**{VARIABLE: f"{point}=kill"})
    kept.until_joined(mark)
    with kept.following("job", "publish", job.id, "-p", "local", seconds=120) as child:
        kept.node.until_killed(60)
        kept.start()
        assert child.wait(60) == 0
    assert kept.client.get_job(job.id).state.state_type == "Completed"


def test_a_job_that_is_deleted_leaves_nothing_on_the_node(kept, s3):
    job, _ = fail_publishing(kept, s3)
    (failed,) = until_kept(kept, job.id)
    (folder,) = kept.node_dir.rglob(failed.id)
    assert (folder / "result").exists()
    kept.cli("job", "delete", job.id)
    until(lambda: not (folder / "result" / "exitCode").exists(), "the node has removed what it kept")
