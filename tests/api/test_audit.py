"""The audit log: every route that changes something, who asked, and what came of it."""

import json
import re

from bacalhau.config.load import load_config
from tests.api.room import JOBS, a_job, open_room

KEY = "a-key-of-twenty-letters"
ADMIN = {"Alias": "ada", "APIKey": KEY, "Capabilities": [{"Actions": ["*"]}]}
READER = {"Alias": "reader", "APIKey": KEY[::-1], "Capabilities": [{"Actions": ["read:*"]}]}
QUESTIONS = ("/explain", "/results/links")  # asked with POST, and change nothing


def audited(folder, **more):
    return load_config([], {}, {"DataDir": str(folder), "Logging.Audit.Enabled": True, **more})


def entries(folder):
    path = folder / "audit" / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_every_changing_route_of_the_document_is_written_down_and_no_other(tmp_path):
    async with open_room(tmp_path, audited(tmp_path)) as room:
        paths = (await room.http.get("/api/v1/openapi.json")).json()["paths"]
        changing = 0
        for path, operations in paths.items():
            for method in operations.keys() & {"get", "put", "post", "patch", "delete"}:
                if method == "get" and path.endswith("/events"):
                    continue  # it never ends
                before = len(entries(tmp_path))
                answer = await room.http.request(method.upper(), re.sub(r"{\w+}", "x-1", path), json={})
                new = entries(tmp_path)[before:]
                is_changing = method != "get" and not path.endswith(QUESTIONS) and "/auth" not in path
                assert len(new) == is_changing, (method, path)
                if new:
                    changing += 1
                    assert (new[0]["Verb"], new[0]["Outcome"]) == (method.upper(), answer.status_code)
                    assert new[0]["RequestID"] == answer.headers["x-request-id"] and new[0]["Address"] == "127.0.0.1"
    assert changing >= 8


async def test_it_names_the_user_and_what_was_made_and_holds_no_secret(tmp_path):
    config = audited(tmp_path, **{"API.Auth.Users": [ADMIN, READER]})
    secret = a_job(Labels={"password": "very-secret"})
    async with open_room(tmp_path, config) as room:

        async def put(key):
            shown = {"Authorization": f"Bearer {key}"} if key else {}
            return await room.http.put(f"{JOBS}?token=very-secret", json={"Job": secret}, headers=shown)

        made = (await put(KEY)).json()["JobID"]
        assert [(await put(key)).status_code for key in ("", KEY[::-1], "wrong-" + KEY)] == [401, 403, 401]
    told = entries(tmp_path)
    assert [(one["User"], one["Outcome"]) for one in told] == [("ada", 200), ("", 401), ("reader", 403), ("", 401)]
    assert told[0]["Object"] == made and told[0]["Path"] == JOBS and "Object" not in told[1]
    text = (tmp_path / "audit" / "audit.jsonl").read_text()
    assert "secret" not in text and KEY not in text and KEY[::-1] not in text


async def test_a_log_that_cannot_be_written_holds_nobody_up(tmp_path, caplog):
    (tmp_path / "audit").write_text("a file in the way")
    async with open_room(tmp_path, audited(tmp_path)) as room:
        await room.submit()
        await room.submit(Name="another")
    assert caplog.text.count("the audit log is not written") == 1


async def test_it_is_off_unless_it_is_asked_for(tmp_path):
    async with open_room(tmp_path, load_config([], {}, {"DataDir": str(tmp_path)})) as room:
        await room.submit()
    assert not (tmp_path / "audit").exists()
