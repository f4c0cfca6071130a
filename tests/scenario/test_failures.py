"""What goes wrong outside of us: the first line on stderr is the root cause, the second what to do, the exit code 1."""

import pytest

from tests.support.docker import push_new
from tests.support.s3 import ACCESS_KEY, PUBLIC_BUCKET
from tests.support.system import OUTPUTS, s3_publisher


@pytest.fixture(scope="module")
def poor(start_system):
    """A node without credentials for S3."""
    return start_system(variables={})


@pytest.fixture(scope="module")
def without_docker(start_system, tmp_path_factory):
    return start_system(docker_url=f"unix://{tmp_path_factory.mktemp('none')}/docker.sock")


def told(system, *args):
    """The lines on stderr of a command that must fail."""
    shown = system.cli("docker", "run", "--wait", *args, code=1)
    assert "Traceback" not in shown.stderr
    return [
        line
        for line in shown.stderr.splitlines()
        if line.startswith(("Error", "error", "Hint", "hint")) or "rror:" in line
    ], shown.stderr


def test_an_image_that_no_registry_has(system, registry, containers):
    errors, _ = told(system, f"{registry}/no-such-image:1", "--", "true")
    assert f"{registry}/no-such-image:1" in errors[0]
    assert "not found" in errors[0]


def test_a_registry_that_does_not_answer(system):
    errors, _ = told(system, "127.0.0.1:9/some/image:1", "--", "true")
    assert "cannot reach registry 127.0.0.1:9" in errors[0]


def test_an_image_is_pulled_where_there_is_one(system, registry, docker_url):
    digest = push_new(docker_url, f"{registry}/test/pulled:1", 1000)
    job = system.run("", engine={"Image": f"{registry}/test/pulled:1", "Parameters": ["/none"]})
    assert job.state.state_type == "Failed"
    assert "executable file not found" in job.state.message
    assert digest.startswith(f"{registry}/test/pulled")


def test_a_command_that_the_image_does_not_have(system):
    errors, _ = told(system, "--network", "none", system.image, "--", "no-such-program")
    assert "executable file not found" in errors[0]
    assert "no-such-program" in errors[0]


def test_a_private_bucket_without_credentials(poor, s3, bucket):
    s3.fill(bucket, {"k": b"secret"})
    errors, _ = told(
        poor, "-i", f"s3://{bucket}/k:/in,opt=endpoint={s3.url},opt=region=us-east-1", poor.image, "--", "true"
    )
    assert bucket in errors[0]
    assert "denied" in errors[0].lower()


def test_a_public_bucket_needs_no_credentials(poor, s3):
    source = f"s3://{PUBLIC_BUCKET}/ABI-L1b-RadC/*:/in,opt=endpoint={s3.url},opt=region=us-east-1"
    shown = poor.cli(
        "docker", "run", "--id-only", "-i", source, poor.image, "--", "sh", "-c", "find /in -type f | wc -l"
    )
    assert poor.cli("logs", shown.stdout.strip()).stdout == "40\n"


def test_a_prefix_that_matches_nothing(poor, s3):
    errors, _ = told(
        poor,
        "-i",
        f"s3://{PUBLIC_BUCKET}/zzz/nothing*:/in,opt=endpoint={s3.url},opt=region=us-east-1",
        poor.image,
        "--",
        "true",
    )
    assert "zzz/nothing" in errors[0]
    assert PUBLIC_BUCKET in errors[0]


def test_a_result_that_cannot_be_published_is_not_made_twice(start_system, s3, bucket, containers):
    wrong = start_system(
        variables={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_REGION": "us-east-1"}
    )
    job = wrong.run(
        "echo x > /outputs/x; echo printed", ResultPaths=OUTPUTS, Publisher=s3_publisher(s3.url, bucket, "r/{jobID}")
    )
    assert job.state.state_type == "Failed"
    assert "does not accept our credentials" in job.state.message
    assert len(containers.seen("start", job_id=job.id)) == 1
    assert wrong.output(job.id) == "printed\n"


def test_a_node_that_could_never_publish_is_not_asked_to_run(poor, s3, bucket, containers):
    job = poor.run("true", ResultPaths=OUTPUTS, Publisher=s3_publisher(s3.url, bucket, "r/{jobID}"))
    assert job.state.state_type == "Failed"
    assert "no AWS credentials on this node" in job.state.message
    assert containers.seen("create", job_id=job.id) == []


def test_no_docker_on_any_node(without_docker):
    errors, _ = told(without_docker, "alpine", "--", "true")
    assert "cannot reach the Docker API at unix://" in errors[0]
    shown = without_docker.cli("node", "describe", without_docker.node_id).stdout
    assert "cannot reach the Docker API" in shown


def test_a_selector_that_no_node_matches(system):
    errors, _ = told(system, "-s", "color=blue", system.image, "--", "true")
    assert "color" in errors[0]


def test_no_server(system):
    shown = system.cli("list", code=1, BACALHAU_API_PORT="9")
    assert "127.0.0.1:9" in shown.stderr.splitlines()[0]
    assert "refused" in shown.stderr.splitlines()[0]
