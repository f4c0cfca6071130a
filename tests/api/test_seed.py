"""The older generation's API: its recordings replayed, signatures that must hold, its jobs turned into today's and
back.
"""

import json
import re
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bacalhau.api.seed import logs as seed_logs
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, RunCommandResult
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.state import JobStateType
from tests.api.room import NODES, open_room
from tests.api.test_access import KEY, READER, bearer, configured
from tests.api.test_nodes import join
from tests.api.test_waiting import EXECUTION, put_execution
from tests.support.seed_client import HELLO, SeedClient
from tests.unit.models.test_seed_view import CREATED, JOB_ID, execution, tutorial_job

CASES = {
    case["name"]: case
    for case in map(json.loads, Path(__file__).with_name("seed_golden.jsonl").read_text().splitlines())
}
ROOT = "/api/v1"

# What we answer otherwise than the original, on purpose, and why.
DEPARTURES = {
    "legacy-events": "events are ours: more of them, in words; the states they carry are the recorded words",
    "api-version-post": "each key also in lower case: the first Python client of that generation reads no other",
    "api-node_info": "capacities also in today's keys; the approval is the true one",
}
# Today's original has no route for any of this and answers 404 (its recording `legacy-submit`); we serve both
# generations.

# Different on every machine and in every run.
VARIABLE = {"Used", "Free", "All", "NodeID", "Time"}

ALICE = SeedClient()


async def replay(room, name, prefix=ROOT):
    case = CASES[name]
    path = prefix + case["path"].removeprefix(ROOT)
    return await room.http.request(case["method"], path, json=case["body"])


async def seed(room):
    """The recorded job and its execution, with a history of ours."""
    job, run = tutorial_job(), execution(run_output=RunCommandResult(), job_version=1)
    told = [
        (Topic.SUBMISSION, "Job created", ""),
        (Topic.SCHEDULING, "Requested execution", run.id),
        (Topic.EXECUTION, "Completed", run.id),
    ]
    history = tuple(
        HistoryEntry(job_id=job.id, job_version=1, execution_id=of, event=make_event(topic, text, CREATED))
        for topic, text, of in told
    )
    await room.orch.store.apply(Change(new_jobs=(job,), new_executions=(run,), history=history))


def comparable(value):
    if isinstance(value, dict):
        return {key: comparable(inner) if key not in VARIABLE else type(inner) for key, inner in value.items()}
    return [comparable(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", [name for name in CASES if name not in DEPARTURES])
async def test_the_recordings_are_answered_alike(name, tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)
        answer, case = await replay(room, name), CASES[name]
        try:
            ours = answer.json()
        except ValueError:
            ours = answer.text
        assert answer.status_code == case["status"]
        assert comparable(ours) == comparable(case["response"])
        assert answer.headers["content-type"].split(";")[0] == case["headers"]["Content-Type"].split(";")[0]
        wanted = {key.lower() for key in case["headers"]} - {
            "connection",
            "transfer-encoding",
            "content-length",
            "date",
        }
        assert wanted <= answer.headers.keys()


async def test_departures(tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)
        events = (await replay(room, "legacy-events")).json()["events"]
        recorded = CASES["legacy-events"]["response"]["events"]
        assert events[0].keys() == recorded[0].keys() and events[-1].keys() - {"Comment"} == recorded[-2].keys()
        assert [e["ExecutionState"]["New"] for e in events if "ExecutionState" in e][-1] == "Completed"
        assert [e["JobState"]["New"] for e in events if "JobState" in e][-1] == "Completed"
        told = (await replay(room, "api-version-post")).json()["build_version_info"]
        assert {key for key in told if not key.islower()} == CASES["api-version-post"]["response"][
            "build_version_info"
        ].keys()
        assert (told["gitversion"], told["goos"]) == (told["GitVersion"], "linux")
        node, recorded = (await replay(room, "api-node_info")).json(), CASES["api-node_info"]["response"]
        assert node["NodeID"] == room.orch.node_id and set(recorded) - set(node) == set()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, case in CASES.items()
        if "/requester/" in case["path"] or name in ("api-healthz", "api-version-post", "api-peers")
    ],
)
async def test_the_first_clients_leave_the_prefix_out(name, tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)
        assert (await replay(room, name, prefix="")).status_code == CASES[name]["status"]


async def test_who_is_there(tmp_path):
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        (node,) = (await room.http.get("/requester/nodes")).json()
        assert (node["NodeID"], node["NodeType"], node["Approval"]) == ("n-1", "Compute", "APPROVED")
        assert node["ComputeNodeInfo"]["ExecutionEngines"] == ["docker"]
        assert (await room.http.get(f"{ROOT}/id")).text == (await room.http.get("/id")).text == room.orch.node_id
        assert (await room.http.post("/requester/debug", json={})).json() == {"WaitingJobs": 0}
        assert (await room.http.post("/compute/debug", json={})).json() == {"RunningExecutions": {"n-1": []}}
        assert len((await room.http.get(NODES)).json()["Nodes"]) == 1


async def submit(room, spec=None, client=ALICE, **more):
    return await room.http.post("/requester/submit", content=client.submission(HELLO if spec is None else spec, **more))


async def test_a_signed_job_is_stored_and_shown_in_both_generations(tmp_path):
    async with open_room(tmp_path) as room:
        spec = HELLO | {
            "Annotations": ["tag-one"],
            "Timeout": 60,
            "NodeSelectors": [{"Key": "zone", "Operator": "=", "Values": ["a"]}],
        }
        answer = await submit(room, spec)
        assert answer.status_code == 200, answer.text
        job = answer.json()["job"]
        job_id = job["Metadata"]["ID"]
        assert answer.headers["x-bacalhau-job-id"] == job_id
        assert (job["APIVersion"], job["Metadata"]["ClientID"]) == ("V1beta1", ALICE.id)
        assert (job["Spec"]["Engine"], job["Spec"]["Docker"], job["Spec"]["Publisher"]) == (
            "docker",
            {"Image": "busybox", "Entrypoint": ["echo", "hello"]},
            "ipfs",
        )
        assert job["Spec"]["EngineSpec"]["Params"]["Image"] == "busybox"
        today = (await room.http.get(f"{ROOT}/orchestrator/jobs/{job_id}")).json()["Job"]
        assert (today["Namespace"], today["Type"], today["Count"], today["Labels"]) == (
            ALICE.id,
            "batch",
            1,
            {"tag-one": ""},
        )
        assert today["Tasks"][0]["Timeouts"]["ExecutionTimeout"] == 60
        assert today["Tasks"][0]["Network"]["Type"] == "None"
        assert today["Constraints"] == [{"Key": "zone", "Operator": "=", "Values": ["a"]}]
        state = (await room.http.post("/requester/states", json={"client_id": ALICE.id, "job_id": job_id[:10]})).json()[
            "state"
        ]
        assert (state["JobID"], state["State"], state["Executions"]) == (job_id, "New", [])


async def test_a_job_without_a_limit_of_time_gets_that_generations(tmp_path):
    async with open_room(tmp_path) as room:
        assert (await submit(room)).json()["job"]["Spec"]["Timeout"] == 1800


FORGED = "error verifying request signature: client's signature is invalid: "


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{", "error unmarshalling envelope"),
        ("[]", "error unmarshalling envelope"),
        ('{"payload": null}', "no payload contained in signed message"),
        (ALICE.submission(HELLO).replace("hello", "owned"), FORGED + "crypto/rsa: verification error"),
        (ALICE.envelope({"ClientID": ALICE.id}, signature="%%%"), FORGED + "failed to decode signature"),
        (ALICE.envelope({"ClientID": ALICE.id}, signature=""), FORGED),
        (ALICE.envelope({"ClientID": ALICE.id}, client_public_key="bm8ga2V5"), FORGED + "failed to decode public key"),
        (
            ALICE.envelope({"ClientID": ALICE.id}, client_public_key=SeedClient().public_key),
            FORGED + "crypto/rsa: verification error",
        ),
        (ALICE.envelope({"APIVersion": "V1beta1"}), "error validating request: payload must contain a client ID"),
        (
            ALICE.envelope({"ClientID": SeedClient().id}),
            "error validating request: client's public key does not match client ID",
        ),
        (ALICE.envelope({"ClientID": ALICE.id, "Spec": 1}), "error unmarshalling payload: field 'Spec': "),
        (ALICE.envelope({"ClientID": ALICE.id, "APIVersion": "V1beta1"}), "job spec is empty"),
        (ALICE.submission(HELLO, APIVersion=""), "APIVersion is empty"),
        (ALICE.submission(HELLO | {"Deal": {}}), "concurrency must be >= 1"),
        (
            ALICE.submission(HELLO | {"Deal": {"TargetingMode": True, "Concurrency": 2}}),
            "concurrency ignored for target all mode, must be == 0",
        ),
        (ALICE.submission(HELLO | {"PublisherSpec": {"Type": "tape"}}), "invalid publisher type: tape"),
        (ALICE.submission(HELLO | {"Inputs": [{"StorageSource": "tape"}]}), "invalid input volume type: 'tape'"),
        (ALICE.submission(HELLO | {"Network": {"Type": "Wires"}}), "Wires"),
        (ALICE.submission(HELLO | {"Resources": {"Memory": "much"}}), "invalid memory value: much"),
    ],
)
async def test_what_is_refused(body, text, tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.post("/requester/submit", content=body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        failure = json.loads(answer.text)
        assert failure["Code"] == "error-unknown-server-error" and failure["Message"] == failure["Err"]
        assert text in failure["Message"]
        assert (await room.http.post("/requester/list", json={"return_all": True})).json() == {"jobs": []}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
async def test_the_signature_is_over_the_bytes_as_sent(separators, tmp_path):
    async with open_room(tmp_path) as room:
        body = ALICE.envelope({"apiversion": "V1beta1", "clientid": ALICE.id, "spec": HELLO}, separators=separators)
        assert (await room.http.post(f"{ROOT}/requester/submit", content=body)).status_code == 200


async def test_the_key_with_exponent_one_opens_nothing(tmp_path):
    """Anybody could sign for a modulus that is known: the signature would be the padded hash itself."""
    async with open_room(tmp_path) as room:
        answer = await room.http.post(
            "/requester/submit", content=ALICE.forged({"APIVersion": "V1beta1", "ClientID": ALICE.id, "Spec": HELLO})
        )
        assert answer.status_code == 400 and "failed to decode public key" in answer.text, answer.text


async def test_only_its_owner_cancels_a_job(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = (await submit(room)).json()["job"]["Metadata"]["ID"]
        bob = SeedClient()
        stranger = await room.http.post("/requester/cancel", content=bob.cancellation(job_id))
        assert stranger.status_code == 401 and "mismatched ClientIDs" in stranger.text
        assert (
            "signature is invalid"
            in (
                await room.http.post(
                    "/requester/cancel", content=ALICE.cancellation(job_id).replace(job_id, job_id[::-1])
                )
            ).text
        )
        for _ in range(2):
            answer = await room.http.post("/requester/cancel", content=ALICE.cancellation(job_id, Reason="enough"))
            assert (answer.status_code, answer.json()["state"]["State"]) == (200, "Cancelled")
            assert (answer.headers["x-bacalhau-job-id"], answer.headers["x-bacalhau-client-id"]) == (job_id, ALICE.id)
        today = (await room.http.get(f"{ROOT}/orchestrator/jobs/{job_id}")).json()["Job"]
        assert today["State"] == {"StateType": "Stopped", "Message": "enough"}
        events = (await room.http.post("/requester/events", json={"job_id": job_id})).json()["events"]
        assert [(e["JobState"]["Previous"], e["JobState"]["New"]) for e in events] == [
            ("New", "New"),
            ("New", "Cancelled"),
        ]


async def test_a_cancel_that_meets_the_scheduler_holds(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = (await submit(room)).json()["job"]["Metadata"]["ID"]
        commit, overtaken = room.orch.commit, []

        async def commit_after_another(change):
            if not overtaken:
                overtaken.append((await room.orch.store.find_job(job_id)).moved(JobStateType.RUNNING, CREATED))
                await commit(Change(jobs=tuple(overtaken)))
            await commit(change)

        room.orch.commit = commit_after_another
        answer = await room.http.post("/requester/cancel", content=ALICE.cancellation(job_id))
        assert (answer.status_code, answer.json()["state"]["State"]) == (200, "Cancelled")
        assert overtaken


async def test_a_job_that_has_ended_is_not_cancelled(tmp_path):
    async with open_room(tmp_path) as room:
        await room.orch.store.apply(Change(new_jobs=(tutorial_job(),)))
        job = tutorial_job()
        mine = type(job)(
            **{f: getattr(job, f) for f in job.__struct_fields__} | {"id": "j-2", "name": "mine", "namespace": ALICE.id}
        )
        await room.orch.store.apply(Change(new_jobs=(mine,)))
        answer = await room.http.post("/requester/cancel", content=ALICE.cancellation("j-2"))
        assert (answer.status_code, answer.json()["Message"]) == (409, "cannot cancel job in state Completed")


@pytest.mark.parametrize("route", ["states", "results", "events"])
async def test_a_job_that_is_not_there(route, tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.post(f"/requester/{route}", json={"job_id": "nope"})
        assert answer.status_code == 404
        text = "Job not found. ID: nope"
        assert json.loads(answer.text) == {
            "Code": "error-job-not-found",
            "Message": text,
            "Details": {"id": "nope"},
            "Err": text,
        }
        assert "job_id is missing" in (await room.http.post(f"/requester/{route}", json={})).text
        assert (await room.http.post(f"/requester/{route}", content=b"{")).status_code == 400


async def listed(room, **query):
    answer = await room.http.post("/requester/list", json=query)
    assert answer.status_code == 200, answer.text
    return [info["Job"]["Metadata"]["ID"] for info in answer.json()["jobs"]]


async def test_lists(tmp_path):
    async with open_room(tmp_path) as room:
        bob = SeedClient()
        tags = [["red"], ["Red", "canary"], ["blue"]]
        mine = [(await submit(room, HELLO | {"Annotations": t})).json()["job"]["Metadata"]["ID"] for t in tags]
        other = (await submit(room, client=bob)).json()["job"]["Metadata"]["ID"]
        today = await room.submit()
        assert await listed(room, client_id=ALICE.id) == mine
        assert (
            await listed(room, client_id=ALICE.id, sort_reverse=True, max_jobs=2, sort_by="created_at") == mine[:0:-1]
        )
        assert await listed(room, client_id=ALICE.id, include_tags=["RED", "green"]) == mine[:2]
        assert await listed(room, client_id=ALICE.id, include_tags=["red"], exclude_tags=["canary"]) == mine[:1]
        assert await listed(room, return_all=True) == [*mine, other, today]
        assert await listed(room, return_all=True, sort_by="id") == sorted([*mine, other, today])
        assert await listed(room, id=other[:10], client_id=ALICE.id) == [other]
        for query, status, text in [
            ({"id": "nope"}, 400, "Job not found. ID: nope"),
            ({"id": "j-"}, 409, "j-"),
            ({"client_id": "x", "sort_by": "size"}, 400, "sort_by must be id or created_at"),
            ({"client_id": "x", "max_jobs": -1}, 400, "max_jobs must be >= 0"),
            ({}, 400, "client_id is missing"),
        ]:
            answer = await room.http.post("/requester/list", json=query)
            assert answer.status_code == status and text in answer.json()["Message"]


async def test_events_are_filtered(tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)

        async def told(**filters):
            answer = await room.http.post("/requester/events", json={"job_id": JOB_ID, "filters": filters})
            return [event["Type"] for event in answer.json()["events"]]

        assert await told() == ["JobLevel", "ExecutionLevel", "ExecutionLevel"]
        assert await told(exclude_execution_level=True) == ["JobLevel"]
        assert await told(exclude_job_level=True, node_id="nobody") == []
        assert await told(execution_id=execution().id) == ["ExecutionLevel", "ExecutionLevel"]
        assert await told(since=2**33) == []
        beyond = await room.http.post("/requester/events", json={"job_id": JOB_ID, "filters": {"since": 2**62}})
        assert beyond.status_code == 400 and "field 'filters.since'" in beyond.json()["Message"]


async def frames(room, path, first=None):
    async with connect(room.url.replace("http", "ws") + path) as socket:
        if first is not None:
            await socket.send(first)
        return [json.loads(frame) async for frame in socket]


async def test_who_opens_a_log_socket_says_soon_what_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(seed_logs, "FIRST_SECONDS", 0.05)
    async with open_room(tmp_path) as room, connect(room.url.replace("http", "ws") + "/requester/logs") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1008


async def test_logs_of_a_finished_job(tmp_path):
    async with open_room(tmp_path) as room:
        await room.orch.store.apply(
            Change(
                new_jobs=(tutorial_job(),),
                new_executions=(execution(run_output=RunCommandResult(stdout="o\n", stderr="e\n"), job_version=1),),
            )
        )
        asked = ALICE.envelope(
            {"ClientID": ALICE.id, "JobID": JOB_ID, "ExecutionID": execution().id, "WithHistory": True}
        )
        wanted = [{"Tag": 1, "Data": "o\n", "ErrorMessage": ""}, {"Tag": 2, "Data": "e\n", "ErrorMessage": ""}]
        assert await frames(room, f"{ROOT}/requester/logs", asked) == wanted
        assert await frames(room, "/requester/logs", asked) == wanted
        for first, code in [
            (ALICE.cancellation("nope"), "error-job-not-found"),
            ("{}", "error-unknown-server-error"),
            ("x", "error-unknown-server-error"),
        ]:
            (frame,) = await frames(room, "/requester/logs", first)
            assert json.loads(frame["ErrorMessage"])["Code"] == code


async def test_logs_of_a_running_job(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = (await submit(room)).json()["job"]["Metadata"]["ID"]
        await put_execution(room, job_id, ComputeStateType.BID_ACCEPTED, node_id="n-1")
        room.bus.lines.append((1, "so far"))
        room.bus.end.set()
        asked = ALICE.envelope(
            {"ClientID": ALICE.id, "JobID": job_id, "ExecutionID": EXECUTION, "WithHistory": True, "Follow": True}
        )
        assert await frames(room, "/requester/logs", asked) == [{"Tag": 1, "Data": "so far", "ErrorMessage": ""}]


async def test_events_come_as_they_happen(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = (await submit(room)).json()["job"]["Metadata"]["ID"]
        async with connect(f"{room.url.replace('http', 'ws')}/requester/websocket/events?job_id={job_id}") as socket:
            assert json.loads(await socket.recv())["JobState"] == {"Previous": "New", "New": "New"}
            await room.http.post("/requester/cancel", content=ALICE.cancellation(job_id))
            assert json.loads(await socket.recv())["JobState"] == {"Previous": "New", "New": "Cancelled"}
            assert [frame async for frame in socket] == []
        assert [frame["Code"] for frame in await frames(room, "/requester/websocket/events?job_id=nope")] == [
            "error-job-not-found"
        ]


async def test_nobody_approves_here(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.post(
            "/compute/approve",
            content=ALICE.envelope({"ClientID": ALICE.id, "JobID": "j", "Response": {"shouldBid": True}}),
        )
        assert answer.status_code == 401 and re.search("unknown client", answer.text)
        assert (await room.http.post("/compute/approve", content=b"{}")).status_code == 400


async def test_users_of_the_configuration_hold_here_too(tmp_path):
    async with open_room(tmp_path, configured(tmp_path, READER)) as room:
        for headers, reads, writes in (({}, 401, 401), (bearer(KEY), 200, 403)):
            for prefix in ("", ROOT):
                assert (
                    await room.http.post(f"{prefix}/requester/list", json={"return_all": True}, headers=headers)
                ).status_code == reads
                assert (await room.http.get(f"{prefix}/requester/nodes", headers=headers)).status_code == reads
                assert (await room.http.get(f"{prefix}/id", headers=headers)).status_code == reads
                assert (
                    await room.http.post(f"{prefix}/requester/submit", content=ALICE.submission(HELLO), headers=headers)
                ).status_code == writes
