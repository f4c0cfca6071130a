"""IPv6 in every setting that names a host, with and without brackets: real processes on `[::1]` and a real client."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.system import PROGRAM, Process, bare_environment

JOB = {
    "Name": "six",
    "Type": "batch",
    "Tasks": [{"Name": "main", "Engine": {"Type": "noop"}, "Publisher": {"Type": "local"}}],
}


def settings(**given: object) -> list[str]:
    return [word for key, value in given.items() for word in ("-c", f"{key.replace('__', '.')}={value}")]


@pytest.fixture(params=["::1", "[::1]"])
def spelling(request) -> str:
    return request.param


@pytest.fixture
def port(tmp_path, spelling):
    """The port of the API of an orchestrator with a node in another process, which listen on IPv6 alone."""
    api, bus, environment = free_port(), free_port(), bare_environment(tmp_path) | {"DOCKER_HOST": "unix:///nowhere"}
    listening = settings(API__Host=spelling, API__Port=api, Orchestrator__Host=spelling, Orchestrator__Port=bus)
    orchestrator = Process(
        ["--orchestrator", *listening],
        tmp_path / "orchestrator",
        tmp_path / "orchestrator.log",
        environment,
    )
    local = settings(Publishers__Types__Local__Address=spelling, Publishers__Types__Local__Port=free_port())
    node = Process(
        ["--compute", *settings(API__Host=spelling, Compute__Orchestrators=f"nats://[::1]:{bus}"), *local],
        tmp_path / "node",
        tmp_path / "node.log",
        environment,
    )
    try:
        orchestrator.start()
        assert f"API: http://[::1]:{api}/api/v1" in orchestrator.until("API: ", 0)
        node.start()
        orchestrator.until("joined", 0)
        yield api
    finally:
        for process in (node, orchestrator):
            if process.is_running:
                process.kill()


def bacalhau(folder: Path, *args: object, **variables: str) -> str:
    environment = bare_environment(folder) | {"BACALHAU_DIR": str(folder / "client")} | variables
    done = subprocess.run([PROGRAM, *map(str, args)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_runs_and_its_result_comes_over_ipv6_alone(tmp_path, port, spelling):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(JOB))
    flags = ("--api-host", spelling, "--api-port", port)
    job = bacalhau(tmp_path, "job", "run", "--id-only", "--wait", *flags, tmp_path / "job.yaml").strip()
    (tmp_path / "got").mkdir()
    bacalhau(tmp_path, "get", job, "--output-dir", tmp_path / "got", *flags)
    assert (tmp_path / "got" / "exitCode").exists()
    named = bacalhau(tmp_path, "job", "describe", job, BACALHAU_API_HOST=spelling, BACALHAU_API_PORT=str(port))
    assert "Completed" in named
    for url in (f"http://[::1]:{port}", f"[::1]:{port}"):
        assert job in bacalhau(tmp_path, "job", "list", "--output", "json", BACALHAU_API_HOST=url)
    bacalhau(tmp_path, "profile", "save", "six", "--endpoint", f"http://[::1]:{port}", "--select")
    assert job in bacalhau(tmp_path, "job", "list", "--output", "json")
