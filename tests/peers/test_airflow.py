"""Airflow with `bacalhau-airflow` 1.3.2 as it is: two jobs, the second of which reads what the first has published."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.system import System
from tests.support.venvs import AIRFLOW, python_with

HERE = Path(__file__).parent
QUIET = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "SCARF_ANALYTICS": "false",
    "DO_NOT_TRACK": "true",
}


@pytest.fixture(scope="module")
def told(anyio_backend, docker_url, docker_image, tmp_path_factory):
    """What became of the pipeline, and what its last job printed."""
    python = python_with(AIRFLOW)
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "home").mkdir()
    with System(folder, docker_url, image=docker_image) as system:
        environment = (
            system.client_environment
            | QUIET
            | {"BACALHAU_DIR": str(folder / "home"), "AIRFLOW_HOME": str(folder / "airflow")}
        )
        for command in ([python, "-m", "airflow", "db", "migrate"], [python, HERE / "airflow_seed.py", docker_image]):
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found = json.loads(done.stdout.splitlines()[-1])
        return found | {"printed": system.output(found["task_2"]["bacalhau_job_id"])}


def test_both_tasks_succeed(told):
    assert told["state"] == told["task_1"]["state"] == told["task_2"]["state"] == "success"


def test_the_second_job_reads_the_first_s_result(told):
    assert told["printed"] == "Hello World\n"
    # Both left the same bytes behind.
    assert told["task_1"]["cids"] == told["task_2"]["cids"] != ""
