"""A Docker daemon that is stopped and started again under a node: jobs wait for it, and go on as soon as it is back."""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx

from bacalhau.app.dockerd import _private_daemon, ensure_image
from tests.support.system import System

GONE = "cannot reach the Docker API"


async def test_a_job_waits_for_its_engine_and_goes_on_when_that_is_back(docker_url, tmp_path):
    """The node describes itself once an hour, so that only the daemon's return brings the job on."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short, ExitStack() as stack:
        state = Path(short)  # so short that the daemon's socket is in it, and in the same place in both its lives
        async with _private_daemon(state, print) as url:
            image = await ensure_image(url, print)
            system = stack.enter_context(
                System(tmp_path, url, image=image, settings={"Compute.Heartbeat.InfoUpdateInterval": "1h"})
            )
            assert system.run("true").state.state_type == "Completed"
            assert (await asyncio.to_thread(httpx.get, f"{system.url}/readyz")).status_code == 200
        job_id = system.submit("echo back", Retry={"Max": 0})
        system.until_event(
            job_id, lambda item: item.event.message.startswith("Job queued.") and GONE in item.event.message
        )
        assert GONE in system.cli("job", "explain", job_id).stdout
        told = await asyncio.to_thread(httpx.get, f"{system.url}/readyz")
        (away,) = [part for part in told.json()["Parts"] if not part["Ready"]]
        assert (told.status_code, away["Name"]) == (503, "engine docker") and GONE in away["Reason"]
        async with _private_daemon(state, print):
            job = system.client.wait(job_id, 60)
            assert job.state.state_type == "Completed" and system.output(job_id) == "back\n"
            *failed, last = system.client.executions(job_id)
            assert failed and all(GONE in e.compute_state.message for e in failed), last
