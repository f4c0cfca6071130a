"""What a client says about its own version, and what it hears."""

import json

import pytest
import websockets

from tests.api.room import JOBS, open_room

VERSION = "X-Bacalhau-Git-Version"


@pytest.mark.parametrize(
    "version", ["", "v0.0.0", "v0.0.0-xxxxxxx", "v1.4.0", "1.4", "v1.9.3", "v1.9.3-rc1+linux", "v10.0.0"]
)
async def test_who_is_welcome(version, tmp_path):
    async with open_room(tmp_path) as room:
        assert (await room.http.get(JOBS, headers={VERSION: version})).status_code == 200


@pytest.mark.parametrize("version", ["v1.3.2", "1.0", "v1.4.0-rc1", "v0.3.0"])
async def test_who_is_too_old(version, tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get(JOBS, headers={VERSION: version})
        told = {
            "Error": "Client version is outdated. Update your client",
            "MinVersion": "1.4.0",
            "ClientVersion": version.removeprefix("v"),
        }
        assert answer.status_code == 403
        assert answer.json().items() >= told.items()
        assert "v" + answer.json()["ServerVersion"] == answer.headers[VERSION]


async def test_a_version_that_cannot_be_read(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get(JOBS, headers={VERSION: "latest"})
        assert (answer.status_code, answer.json()) == (400, {"Error": "Invalid client version latest"})


@pytest.mark.parametrize("path", ["/api/v1/agent/alive", "/api/v1//agent/alive/", "/api/v1/auth", f"{JOBS}/j-1/logs"])
async def test_all_of_today_s_routes_ask(path, tmp_path):
    async with open_room(tmp_path) as room:
        assert (await room.http.get(path, headers={VERSION: "v1.2.2"})).status_code == 403


async def test_a_socket_is_refused_before_it_opens_and_not_as_a_fault_of_ours(tmp_path, caplog):
    async with open_room(tmp_path) as room:
        url = room.url.replace("http", "ws") + f"{JOBS}/j-1/logs"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, additional_headers={VERSION: "v1.2.2", "X-Request-ID": "mine"})
        response = refused.value.response
        assert (response.status_code, json.loads(response.body)["ClientVersion"]) == (403, "1.2.2")
        assert response.headers["x-request-id"] == "mine"
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("path", ["/api/v1/id", "/api/v1/livez", "/healthz"])
async def test_the_older_generation_keeps_its_own_addresses(path, tmp_path):
    async with open_room(tmp_path) as room:
        assert (await room.http.get(path, headers={VERSION: "v1.2.2"})).status_code == 200


@pytest.mark.parametrize(
    ("version", "is_told"), [("v1.4.0", True), ("v1.4.9", True), ("v1.5.0", False), ("v1.9.3", False), ("", False)]
)
async def test_clients_before_1_5_find_the_states_they_read_in_history(version, is_told, tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        (item,) = (await room.http.get(f"{JOBS}/{job_id}/history", headers={VERSION: version})).json()["Items"]
        states = {
            "JobState": {"Previous": "Undefined", "New": "Undefined"},
            "ExecutionState": {"Previous": 0, "New": 0},
        }
        assert {key: item[key] for key in states if key in item} == (states if is_told else {})
