"""What the original answered, put into our store, is answered alike; where we differ on purpose, the difference is
asserted.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.paging import PagingToken, parse_token
from tests.api.room import JOBS, Room, open_room

CASES = {
    case["name"]: case for case in map(json.loads, Path(__file__).with_name("golden.jsonl").read_text().splitlines())
}


class Departure(NamedTuple):
    """Another answer than the original's, and why. No code: a success, or an error in another form."""

    status: int
    code: str
    message: str
    why: str


# All of them: every recording without a line here is answered with the same status, and errors with the same words.
DEPARTURES = {
    "api-jobs-badlimit": Departure(
        400,
        "InternalError",
        "query parameter 'limit' must be a whole number from 0 to 4294967295, not 'abc'",
        "plain words",
    ),
    "api-jobs-neglimit": Departure(
        400,
        "InternalError",
        "query parameter 'limit' must be a whole number from 0 to 4294967295, not '-1'",
        "plain words",
    ),
    "api-history-badtype": Departure(
        400,
        "InternalError",
        "query parameter 'event_type' must be one of all, execution, job, not 'zzz'",
        "plain words",
    ),
    "put-same": Departure(409, "ResourceInUse", "no changes detected for new job spec", "the caller's mistake"),
    "post-notallowed": Departure(409, "ResourceInUse", "no changes detected for new job spec", "the caller's mistake"),
    "delete-done": Departure(409, "ResourceInUse", "cannot stop job in state Completed", "the caller's mistake"),
    "api-jobs-reverse": Departure(200, "", "", "its own command line offers to sort by id"),
    "api-metrics": Departure(200, "", "", "metrics, as Prometheus asks for them everywhere"),
    "put-badpublisher": Departure(
        400,
        "InternalError",
        "bucket cannot be empty",
        "it accepts the job, runs it, and then has nowhere to publish to",
    ),
    "legacy-submit": Departure(
        400,
        "error-unknown-server-error",
        "no payload contained in signed message",
        "the older generation's API is served beside today's",
    ),
}
# Headers that we leave out: a page of another origin may not read.
WITHOUT_HEADERS = {"cors-preflight": {"access-control-allow-origin", "access-control-allow-methods"}}
# Keys that one side alone has.
MORE_OR_LESS = {
    "api-debug": ("NATSServer", "jobsCompleted", "WaitingJobs", "UnsentMessages"),  # what is inside differs
    "api-jobs-ns": ("Items.Tasks.InputSources", "Items.Tasks.ResultPaths"),  # another job is the first
    "put-unknownfield": ("Warnings",),  # ours names the field
    "api-executions": ("Items.Job.State.Message",),  # theirs says "job rerun" here and nowhere else
    "api-job-include": ("Executions.Items.Job.State.Message",),
}
FREE_FORM = ("Meta", "Labels", "Params", "Details", "config", "Env")
HEADERS_OF_THE_WIRE = {"connection", "content-length", "date", "transfer-encoding"}
READ_ERRORS = [
    "api-license",
    "api-jobs-badlimit",
    "api-jobs-neglimit",
    "api-jobs-badtoken",
    "api-job-unknown",
    "api-history-badtype",
    "api-node-unknown",
    "api-notfound",
    "api-openapi",
    "put-notype",
    "put-same",
    "delete-done",
    "delete-unknown",
    "node-approve",
]


def response(name: str) -> dict:
    return CASES[name]["response"]


async def replay(room: Room, name: str):
    case = CASES[name]
    asked = {"Origin": "http://127.0.0.1:8438"} if case["method"] == "OPTIONS" else {}
    return await room.http.request(
        case["method"], case["path"], json=case["body"], headers=asked, follow_redirects=True
    )


async def seed(room: Room) -> None:
    """The recorded jobs, executions, history and node, through the store's own door."""
    whole = response("api-job-include")
    job = msgspec.convert(whole["Job"], Job)
    first = msgspec.structs.replace(job, version=1, revision=1)
    room.orch.cluster.put(msgspec.convert(response("api-node1")["Node"], NodeState), 0)
    await room.orch.store.apply(Change(new_jobs=(first,), history=tuple(_entry(job.id, 1) for _ in range(6))))
    await walk_to(room, first, job)
    execution = msgspec.convert(whole["Executions"]["Items"][0], Execution)
    told = [msgspec.convert(item, JobHistory) for item in whole["History"]["Items"]]
    entries = tuple(
        HistoryEntry(job_id=h.job_id, job_version=h.job_version, event=h.event, execution_id=h.execution_id)
        for h in told
    )
    await room.orch.store.apply(Change(new_executions=(execution,), history=entries))


async def walk_to(room: Room, stored: Job, last: Job) -> None:
    for revision in range(stored.revision + 1, last.revision + 1):
        await room.orch.store.apply(Change(jobs=(msgspec.structs.replace(last, revision=revision),)))


def _entry(job_id: str, version: int) -> HistoryEntry:
    return HistoryEntry(
        job_id=job_id, job_version=version, event=msgspec.convert(response("api-history")["Items"][0], JobHistory).event
    )


def plain(value):
    """Without what differs from run to run, and with nulls as absent keys."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ("Time", "Job") and v is not None}
    return [plain(v) for v in value] if isinstance(value, list) else value


ALIKE = [
    "api-job",
    "api-job-include",
    "api-history",
    "api-history-exec",
    "api-executions",
    "api-node1",
    "api-node-short",
    "api-node",
    "api-authconfig",
    "api-job-pretty",
    "api-job-short",
]


def differences(theirs, ours, path=""):
    """Keys that one side alone has, and values of another kind."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs.keys() | ours.keys():
            here = f"{path}.{key}".lstrip(".")
            if key not in theirs or key not in ours:
                yield here
            elif key not in FREE_FORM:
                yield from differences(theirs[key], ours[key], here)
    elif isinstance(theirs, list) and isinstance(ours, list):
        for pair in zip(theirs[:1], ours[:1], strict=False):
            yield from differences(*pair, path)
    elif not (isinstance(theirs, int | float) and isinstance(ours, int | float)) and type(theirs) is not type(ours):
        yield path


async def test_every_recording_is_answered_in_its_own_form(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        await seed(room)
        await seed_versions(room)
        await seed_result(room, "api-results-ipfs")
        await seed_result(room, "s3pub-nobucket-results")
        for name, case in CASES.items():
            answer = await replay(room, name)
            with subtests.test(name):
                departure = DEPARTURES.get(name)
                assert answer.status_code == (departure.status if departure else case["status"]), answer.text
                if departure and departure.code:
                    assert answer.json()["Code"] == departure.code
                    assert departure.message in answer.json()["Message"]
                elif not departure and case["response"]:
                    assert set(differences(case["response"], answer.json())) <= set(MORE_OR_LESS.get(name, ()))
                left_out = WITHOUT_HEADERS.get(name, set())
                missing = {header.lower() for header in case["headers"]} - answer.headers.keys() - HEADERS_OF_THE_WIRE
                assert missing == left_out


async def test_what_the_original_stored_is_answered_alike(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        await seed(room)
        for name in ALIKE:
            answer = await replay(room, name)
            with subtests.test(name):
                assert answer.status_code == 200, answer.text
                assert plain(answer.json()) == plain(response(name))
                assert answer.headers["content-type"] == "application/json"


async def test_the_execution_of_the_original_carries_its_job(tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)
        ours = (await replay(room, "api-executions")).json()["Items"][0]["Job"]
        assert ours.keys() == response("api-executions")["Items"][0]["Job"].keys()


async def seed_result(room: Room, name: str) -> None:
    """A job whose one execution published what the recording shows."""
    whole = response("api-job-include")
    job_id = CASES[name]["path"].split("/")[-2]
    job = msgspec.structs.replace(msgspec.convert(whole["Job"], Job), id=job_id, name=job_id, version=1, revision=1)
    execution = msgspec.convert(
        whole["Executions"]["Items"][0] | {"ID": "e-" + job_id[2:], "JobID": job_id, "JobVersion": 1}, Execution
    )
    published = msgspec.convert(response(name)["Items"][0], type(execution.published_result))
    execution = msgspec.structs.replace(execution, published_result=published)
    await room.orch.store.apply(Change(new_jobs=(job,), new_executions=(execution,)))


async def seed_versions(room: Room) -> None:
    wanted = response("api-versions")["Items"]
    stored = msgspec.structs.replace(msgspec.convert(wanted[0], Job), revision=1)
    await room.orch.store.apply(Change(new_jobs=(stored,)))
    for version in wanted:
        last = msgspec.convert(version, Job)
        await walk_to(room, stored, last)
        stored = last


@pytest.mark.parametrize("name", ["api-results-ipfs", "s3pub-nobucket-results"])
async def test_results_of_a_completed_execution(name, tmp_path):
    async with open_room(tmp_path) as room:
        await seed_result(room, name)
        answer = await replay(room, name)
        assert answer.json() == response(name)
        assert "\\u0026" not in answer.text


async def test_every_version_of_a_job_stays_readable(tmp_path):
    async with open_room(tmp_path) as room:
        wanted = response("api-versions")["Items"]
        await seed_versions(room)
        ours = (await replay(room, "api-versions")).json()
        assert ours["NextToken"] == ""
        assert [(v["Version"], v["Revision"], v["Tasks"], v["State"]) for v in ours["Items"]] == [
            (v["Version"], v["Revision"], v["Tasks"], v["State"]) for v in wanted
        ]
        second = (await room.http.get(f"{JOBS}/svc", params={"job_version": 2})).json()["Job"]
        assert second["Tasks"] == wanted[1]["Tasks"]
        assert (await room.http.get(f"{JOBS}/svc", params={"job_version": 9})).status_code == 404


async def test_the_token_of_a_list_names_a_place_where_the_original_s_counts(tmp_path):
    async with open_room(tmp_path) as room:
        await seed(room)
        await room.submit(Name="later")
        page = await replay(room, "api-jobs-ns")
        assert parse_token(response("api-jobs-ns")["NextToken"]) == PagingToken(limit=1, offset=1)
        last = page.json()["Items"][-1]
        token = PagingToken("created_at", limit=1, key=str(last["CreateTime"]), id=last["ID"])
        assert parse_token(page.json()["NextToken"]) == token
        refused = await room.http.get(JOBS, params={"next_token": response("api-jobs-ns")["NextToken"]})
        assert (refused.status_code, "of an older server: begin again" in refused.text) == (400, True)
        assert page.json().keys() == response("api-jobs-ns").keys()
        assert page.json()["Items"][0].keys() == response("api-jobs-ns")["Items"][0].keys()


async def test_errors(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        await seed(room)
        await replay(room, "put")
        for name in READ_ERRORS:
            answer, golden = await replay(room, name), response(name)
            body = answer.json()
            status, code, message, _ = DEPARTURES.get(name, (golden["Status"], golden["Code"], golden["Message"], ""))
            with subtests.test(name):
                assert (answer.status_code, body["Status"], body["Code"]) == (status, status, code)
                assert body["Component"] == golden["Component"]
                assert re.search(re.escape(message), body["Message"])
                assert (body.get("Hint"), body.get("Details")) == (golden.get("Hint"), golden.get("Details"))
                assert body["RequestID"] == answer.headers["x-request-id"] != ""


@pytest.mark.parametrize("name", ["put", "put-lower", "put-unknownfield", "put-idempotency"])
async def test_submissions(name, tmp_path):
    async with open_room(tmp_path) as room:
        answer, golden = (await replay(room, name)).json(), response(name)
        assert answer.keys() == golden.keys()
        assert answer["JobID"].startswith("j-")
        warned = ["unknown field 'Job.Nope' is ignored"] if name == "put-unknownfield" else None
        assert answer["Warnings"] == warned
        stored = (await room.http.get(f"{JOBS}/{answer['JobID']}")).json()["Job"]
        assert stored["State"] == {"StateType": JobStateType.PENDING}
        assert stored["Tasks"][0]["Engine"]["Type"] == "docker"


async def test_order_by_id_works(tmp_path):
    async with open_room(tmp_path) as room:
        ids = sorted([await room.submit() for _ in range(3)], reverse=True)
        answer = await replay(room, "api-jobs-reverse")
        assert [job["ID"] for job in answer.json()["Items"]] == ids[:2]


async def test_version_says_who_we_are(tmp_path):
    async with open_room(tmp_path) as room:
        answer = (await replay(room, "api-version")).json()
        assert answer.keys() == response("api-version").keys()
        assert answer["GitVersion"].startswith("v1.9.")
