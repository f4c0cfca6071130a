"""What a container sees and how it ends: on one server, with real Docker."""

import subprocess

from bacalhau.models.execution.execution import ComputeStateType
from tests.support.containers import HOLD
from tests.support.docker import remove_image
from tests.support.system import OUTPUTS

# A shell that ends at once when it is asked to.
WILLING = "trap 'exit 0' TERM; {0}; sleep 600 & wait"


def execution(system, job_id):
    (found,) = system.client.executions(job_id)
    return found


def test_variables_working_directory_and_system_variables(system):
    engine = {"WorkingDirectory": "/tmp", "EnvironmentVariables": ["B=from the engine", "C=3"]}
    job = system.run(
        'echo "$A,$B,$C,$PWD,$BACALHAU_JOB_ID,$BACALHAU_PARTITION_COUNT"', Env={"A": "a b", "B": "lost"}, engine=engine
    )
    assert job.state.state_type == "Completed"
    assert system.output(job.id) == f"a b,from the engine,3,/tmp,{job.id},1\n"


def test_flags_of_docker_run_reach_the_container(system):
    flags = [
        "-e",
        "A=1",
        "-w",
        "/tmp",
        "--entrypoint",
        "/bin/sh",
        "--entrypoint",
        "-c",
        "--network",
        "none",
        "--id-only",
    ]
    shown = system.cli("docker", "run", *flags, system.image, "--", 'echo "$A $PWD"; ls /sys/class/net')
    job_id = shown.stdout.strip()
    assert shown.stdout == f"{job_id}\n"
    assert system.output(job_id) == "1 /tmp\nlo\n"


def test_without_a_network_there_is_no_route(system):
    script = "ls /sys/class/net; wc -l < /proc/net/route"
    alone = system.submit(script, Network={"Type": "None"})
    bridged = system.submit(script, Network={"Type": "Bridge"})
    assert (
        system.client.wait(alone, 60).state.state_type
        == system.client.wait(bridged, 60).state.state_type
        == "Completed"
    )
    assert system.output(alone).split() == ["lo", "1"]
    assert "eth0" in system.output(bridged)


def test_a_task_over_its_memory_is_told_so(system, containers):
    job = system.run("dd if=/dev/zero of=/dev/null bs=200M count=1", Resources={"CPU": "0.1", "Memory": "32mb"})
    assert job.state.state_type == "Failed"
    assert job.state.message.startswith("memory limit exceeded")
    assert len(containers.seen("start", job_id=job.id)) == 1


def test_an_exit_code_completes_and_is_published(system, tmp_path):
    job = system.run(
        "echo out; echo err >&2; echo result > /outputs/r; exit 3", ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"}
    )
    assert job.state.state_type == "Completed"
    found = execution(system, job.id)
    assert (found.run_output.exit_code, found.run_output.stdout, found.run_output.stderr) == (3, "out\n", "err\n")
    system.client.get(job.id, tmp_path)
    assert (tmp_path / "outputs" / "r").read_text() == "result\n"
    assert [(tmp_path / name).read_text() for name in ("exitCode", "stdout", "stderr")] == ["3", "out\n", "err\n"]


def test_docker_run_tells_a_containers_exit_code_and_succeeds(system):
    shown = system.cli("docker", "run", "--network", "none", system.image, "--", "sh", "-c", "exit 3")
    assert "exited with code 3" in shown.stderr


def test_the_output_is_seen_while_the_job_runs(system, containers):
    job_id = system.submit(f"echo early; {HOLD}; echo late")
    with system.following("logs", "--follow", job_id) as logs:
        assert logs.stdout.readline() == "early\n"
        assert system.client.get_job(job_id).state.state_type == "Running"
        containers.let_go(job_id)
        assert logs.stdout.read() == "late\n"
        assert logs.wait(10) == 0
    assert system.cli("logs", job_id).stdout == "early\nlate\n"


def test_an_execution_that_takes_too_long_keeps_what_it_printed(system, containers):
    job = system.run(WILLING.format("echo early"), Timeouts={"ExecutionTimeout": 1})
    assert (job.state.state_type, job.state.message) == (
        "Failed",
        "timed out after 1 s: the execution's time limit is over (while it ran)",
    )
    found = execution(system, job.id)
    assert found.state == ComputeStateType.FAILED
    assert found.run_output.stdout == "early\n"
    assert len(containers.until("destroy", job.id)) == 1


def test_the_total_limit_ends_a_job(system, containers):
    job = system.run(WILLING.format("echo early"), Timeouts={"TotalTimeout": 2})
    assert (job.state.state_type, job.state.message) == (
        "Failed",
        "timed out after 2 s: the job's total time limit is over",
    )
    assert system.output(job.id) == "early\n"
    containers.until("destroy", job.id)


def test_a_time_limit_from_the_command_line_is_exit_code_1(system):
    shown = system.cli(
        "docker",
        "run",
        "--timeout",
        1,
        "--network",
        "none",
        system.image,
        "--",
        "sh",
        "-c",
        WILLING.format("true"),
        code=1,
    )
    assert "timed out after 1 s" in shown.stderr.splitlines()[-2] + shown.stderr.splitlines()[-1]


def test_cancelling_stops_the_container_and_the_record_says_so(system, containers):
    job_id = system.submit(WILLING.format("true"))
    containers.until("start", job_id)
    system.cli("cancel", job_id)
    containers.until("die", job_id)
    containers.until("destroy", job_id)
    job = system.client.get_job(job_id)
    assert job.state.state_type == "Stopped"
    assert execution(system, job_id).state == ComputeStateType.CANCELLED
    assert "Stopped" in system.cli("job", "describe", job_id).stdout


def test_a_container_that_will_not_end_is_killed(system, containers):
    job_id = system.submit("trap '' TERM; echo stubborn; while :; do sleep 1; done")
    containers.until("start", job_id)
    system.client.stop(job_id)
    containers.until("die", job_id, seconds=20)
    assert system.client.get_job(job_id).state.state_type == "Stopped"


def test_an_image_that_no_registry_knows_runs_where_it_was_made(system, containers, docker_url):
    name = f"bacalhau-test/made-here:{system.port}"

    def docker(*args):
        return subprocess.run(
            ["docker", "--host", docker_url, *args], check=True, capture_output=True, text=True
        ).stdout.strip()

    container = docker("create", system.image)
    docker("commit", container, name)
    docker("rm", container)
    try:
        job = system.run("echo local", engine={"Image": name})
        containers.until("destroy", job.id)
    finally:
        remove_image(docker_url, name)
    assert (job.state.state_type, system.output(job.id)) == ("Completed", "local\n")


def test_several_partitions_know_their_number(system):
    job = system.run("echo $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT", job={"Count": 3})
    assert job.state.state_type == "Completed"
    found = system.client.executions(job.id)
    assert sorted(e.run_output.stdout for e in found) == ["0 of 3\n", "1 of 3\n", "2 of 3\n"]
