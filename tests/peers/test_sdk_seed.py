"""`bacalhau-sdk` 1.3.2, the Python client of the older generation, works against our server as it is: signed, and
without a prefix.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.system import System
from tests.support.venvs import SDK_SEED, python_with

PROGRAM = Path(__file__).with_name("sdk_seed.py")
README_CID = "QmYEqqNDdDrsRhPRShKHzsnZwBq3F59Ti3kQmv9En4i5Sw"
"""Of the result, as the SDK's own description shows it: the original published the same bytes in the same tree."""


@pytest.fixture(scope="module")
def told(anyio_backend, docker_url, docker_image, s3, tmp_path_factory):
    """What the program saw of the server."""
    python, folder = python_with(SDK_SEED), tmp_path_factory.mktemp("sdk")
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
        return json.loads(done.stdout.splitlines()[-1]) | {"node": system.node_id}


def test_the_programs_of_its_readme_run(told):
    hello = told["hello"]
    assert (hello["stdout"], hello["last"], hello["owner"]) == ("Hello World!\n", "Completed", True)
    assert hello["cid"] == README_CID and README_CID in hello["results"]
    assert hello["states"] == ["Completed", "InProgress", "New"]


def test_results_become_inputs_and_go_to_s3(told):
    piped = told["piped"]
    assert (piped["stdout"], piped["source"]) == ("one\n", "s3")
    assert piped["key"].startswith(f"seed/{piped['job']}")


def test_one_s_own_jobs_are_listed(told):
    assert told["listed"] == {"count": 5, "in_order": True}


def test_a_job_is_cancelled_once(told):
    assert told["cancelled"] == ["Cancelled"] * 3


def test_refusals_say_what_is_wrong(told):
    (missing, uncounted, unpublished) = told["refused"]
    assert missing == [404, "Job not found. ID: j-00000000"]
    assert uncounted[0] == unpublished[0] == 400
    assert uncounted[1].startswith("concurrency must be >= 1") and unpublished[1].startswith(
        "invalid publisher type: tape"
    )


def test_the_server_says_who_it_is(told):
    server = told["server"]
    assert server["version"].startswith("v1.9.") and server["os"] == "linux" and server["free"] > 0
    assert server["node"] == "Compute"
    assert server["id"] == repr(told["node"].encode())  # how this client shows any text
