"""`bacalhau-sdk` 1.4.2, the original's own Python client of today, works against our server as it is."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.system import System
from tests.support.venvs import SDK_TODAY, python_with

PROGRAM = Path(__file__).with_name("sdk_today.py")


@pytest.fixture(scope="module")
def told(anyio_backend, docker_url, docker_image, s3, tmp_path_factory):
    """What the program saw of the server."""
    python, folder = python_with(SDK_TODAY), tmp_path_factory.mktemp("sdk")
    (folder / "home").mkdir()
    with System(folder, docker_url, image=docker_image) as system:
        environment = system.client_environment | {"BACALHAU_DIR": str(folder / "home")}
        done = subprocess.run(
            [python, PROGRAM, docker_image, s3.url],
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_program_of_its_readme_runs(told):
    hello = told["hello"]
    assert re.fullmatch(r"j-[0-9a-f-]{36}", hello["id"])
    assert (hello["stdout"], hello["exit_code"], hello["same"]) == ("Hello World\n", 0, True)
    assert hello["node"].startswith("n-")
    assert hello["levels"] == ["ExecutionLevel"]
    assert hello["included"] > 2


def test_the_same_job_again_is_refused_in_words(told):
    answer, said = told["hello"]["twice"]
    assert answer is None
    assert "no changes detected" in said


def test_pages_and_order(told):
    assert told["listed"] == {"pages": [5, 2], "distinct": 7, "reversed": True}


def test_results_in_s3_are_named(told):
    assert told["results"]["type"] in ("s3", "s3PreSigned")
    assert "SourceSpec" in told["results"]["keys"] or "Bucket" in told["results"]["keys"]


def test_a_stop_keeps_its_reason(told):
    assert told["stopped"] == {"evaluation": True, "message": "enough", "again": True}


def test_an_unknown_job_is_a_404_with_its_message(told):
    assert told["unknown"]["answer"] is None
    assert "(404)" in told["unknown"]["said"]
    assert "job not found" in told["unknown"]["said"]


def test_the_client_below_it_asks_who_is_there(told):
    agent = told["agent"]
    assert (
        agent["node"].startswith("n-") and agent["node"] in agent["id"]
    )  # that client writes text as Python shows bytes
    assert agent["version"].startswith("v1.")
    assert agent["alive"] and agent["capacity"] and agent["debug"] and "OK" in agent["live"]


def test_finished_jobs_and_unknown_ones(told):
    assert told["finished_or_unknown"] == {"there": [True, True], "not_there": [True, True], "stopped": [None, True]}


KEY = "sdk-key-0123456789abcdef"
USERS = (
    f"API:\n  Auth:\n    Users:\n      - Alias: sdk\n        APIKey: {KEY}\n        Capabilities:\n          - Actions:"
    " ['read:job']\n"
)
WITH_KEY = f"""
from bacalhau_sdk.jobs import Jobs
jobs = Jobs()
try:
    jobs.list()
except UnboundLocalError:
    print("refused")
jobs.orchestrator_service.api_client.set_default_header("Authorization", "Bearer {KEY}")
print(jobs.list().items)
print(jobs.stop("j-nope"))
"""


def test_a_server_with_users_takes_its_key(anyio_backend, docker_url, tmp_path):
    system = System(tmp_path / "system", docker_url)
    system.dir.mkdir(parents=True)
    (system.dir / "config.yaml").write_text(USERS)
    python = python_with(SDK_TODAY)
    with system:
        environment = system.client_environment | {"BACALHAU_DIR": str(tmp_path)}
        done = subprocess.run(
            [python, "-c", WITH_KEY], capture_output=True, text=True, env=environment, timeout=60, check=True
        )
    assert "(401)" in done.stdout and "Request Unauthorized" in done.stdout
    assert "refused\n[]\n" in done.stdout
    assert "(403)" in done.stdout and "write:job" in done.stdout
