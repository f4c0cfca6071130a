"""`/readyz` of real processes, of which one part after the other is broken."""

import asyncio
import logging
import subprocess
from contextlib import AsyncExitStack, contextmanager

import httpx
import pytest

from bacalhau.api.http.readiness import WITHHELD
from bacalhau.app.serve import serve
from bacalhau.config.load import load_config
from tests.support.nats import plain_server
from tests.support.until import until

KEYS = {"API.Port": 0, "Orchestrator.Port": 0, "Engines.Disabled": "docker"}
BOTH = KEYS | {"Compute.Enabled": True, "Orchestrator.Enabled": True}
USER = {"Alias": "reader", "APIKey": "a-key-of-twenty-letters", "Capabilities": [{"Actions": ["read:agent"]}]}
SIZE = 3_000_000


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk") as folder:
        yield folder


@contextmanager
def mounted(folder):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def ask(url):
    """The status of `/readyz`, and the reasons of what is not ready."""
    assert httpx.get(f"{url}/healthz").status_code == 200
    answer = httpx.get(f"{url}/readyz")
    told = answer.json()
    assert told["Ready"] == (answer.status_code == 200) == all(part["Ready"] for part in told["Parts"])
    return answer.status_code, {part["Name"]: part.get("Reason", "") for part in told["Parts"] if not part["Ready"]}


async def until_status(url, wanted):
    """The reasons of what is not ready when the status is as wanted."""
    found = []

    def is_so():
        found.append(ask(url))
        return found[-1][0] == wanted

    await asyncio.to_thread(until, is_so, f"/readyz answers {wanted}")
    return found[-1][1]


async def test_a_process_with_both_roles_is_ready_when_all_its_parts_are(tmp_path):
    async with serve(load_config([], {}, BOTH | {"DataDir": str(tmp_path)})) as served:
        await until_status(served.api_url, 200)
        told = await asyncio.to_thread(httpx.get, f"{served.api_url}/readyz")
        parts = [part["Name"] for part in told.json()["Parts"]]
        assert parts == ["store", "bus", "journal", "orchestrator", "engine noop"]


async def test_a_full_disk_is_told_until_there_is_room_again(small_disk, caplog):
    async with serve(load_config([], {}, KEYS | {"DataDir": str(small_disk)})) as served:
        await until_status(served.api_url, 200)
        fill(small_disk / "filler")
        faults = await until_status(served.api_url, 503)
        assert list(faults) == ["store"] and "full" in faults["store"] and str(small_disk) in faults["store"]
        with caplog.at_level(logging.INFO):
            (small_disk / "filler").unlink()
            await until_status(served.api_url, 200)
        assert "ready again: store" in caplog.text


async def test_strangers_hear_no_reasons_where_there_are_users(small_disk, caplog):
    keys = {"DataDir": str(small_disk), "API.Auth.Users": [USER]}
    async with serve(load_config([], {}, KEYS | keys)) as served:
        await until_status(served.api_url, 200)
        fill(small_disk / "filler")
        faults = await until_status(served.api_url, 503)
        assert faults == {"store": WITHHELD}
        assert f"not ready: store: database or disk is full: {small_disk}" in caplog.text


async def test_a_message_server_that_ended_is_told_by_both_ends(tmp_path):
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(plain_server())
        async with serve(
            load_config([], {}, BOTH | {"DataDir": str(tmp_path), "Orchestrator.NATS.URL": url})
        ) as served:
            await until_status(served.api_url, 200)
            await stack.aclose()
            faults = await until_status(served.api_url, 503)
            assert faults.keys() <= {"bus", "orchestrator"} and faults
