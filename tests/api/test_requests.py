"""What is read from a request, what is refused and in which words, and what every answer carries."""

import asyncio
import gzip
import json

import pytest

from bacalhau.api.http import connection, request
from bacalhau.config.load import load_config
from bacalhau.lib.ids import evaluation_id
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from tests.api.room import JOBS, NODES, a_job, open_room

REFUSED = {
    "no body": (b"", "empty/nil job"),
    "null job": (b'{"Job": null}', "empty/nil job"),
    "no job": (b"{}", "empty/nil job"),
    "not JSON": (b'{"Job": ', "the body is not valid JSON"),
    "not UTF-8": (b'{"Job": {"Name": "\xff\xfe"}}', "the body is not valid JSON"),
    "not an object": (b"[1]", "the body must be a JSON object"),
    "nested too deep": (b'{"Job":' + b"[" * 5000 + b"]" * 5000 + b"}", "the body is not valid JSON"),
    "nested deeper than a job": (
        b'{"Job":{"Name":null,"Nope":' + b"[" * 900 + b"]" * 900 + b"}}",
        "the body is nested deeper than 100 levels",
    ),
    "state as a number": (b'{"Job": {"State": {"StateType": 3}}}', "field 'Job.State.StateType'"),
    "job of another type": (b'{"Job": 1}', "field 'Job'"),
}


async def test_a_bad_body_is_refused_in_words(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        for name, (body, text) in REFUSED.items():
            answer = await room.http.put(JOBS, content=body, headers={"content-type": "application/json"})
            error = answer.json()
            with subtests.test(name):
                assert (answer.status_code, error["Code"], error["Component"]) == (400, "InternalError", "APIServer")
                assert text in error["Message"]


async def test_a_packed_body_is_refused_by_that_name(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.put(JOBS, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["Message"]) == (
            400,
            "the body has Content-Encoding gzip, which is not read here",
        )


async def test_every_wrong_field_is_named(tmp_path):
    async with open_room(tmp_path) as room:
        task = {"Name": 5, "Engine": {"Type": "docker"}, "Timeouts": {"TotalTimeout": "1m"}}
        answer = await room.http.post(JOBS, json={"Job": {"Count": "x", "Tasks": [task], "Labels": {"a": 1}}})
        lines = answer.json()["Message"].splitlines()
        for path in ("Job.Count", "Job.Tasks[0].Name", "Job.Tasks[0].Timeouts.TotalTimeout", "Job.Labels"):
            assert any(f"field '{path}'" in line for line in lines), lines


async def test_a_wrong_field_is_told_with_every_problem_of_the_rest(tmp_path):
    job = {"Type": "bach", "Count": "two", "Tasks": [{"Name": "main", "Engine": {"Type": "dokker"}, "Publisher": 7}]}
    async with open_room(tmp_path) as room:
        for method, path in (("PUT", JOBS), ("PUT", f"{JOBS}/diff"), ("POST", f"{JOBS}/explain")):
            answer = await room.http.request(method, path, json={"Job": job})
            assert answer.status_code == 400
            found = answer.json()["Message"].splitlines()
            assert [line.split(":")[0] for line in found[:3]] == [
                "field 'Job.Count'",
                "field 'Job.Tasks[0].Publisher'",
                "invalid job type",
            ]
            assert len(found) == 4 and "unknown engine type 'dokker'" in found[3]


async def test_the_word_auto_is_a_count_in_every_body_with_a_job(tmp_path):
    params = {"Bucket": "b", "Key": "k/", "Partition": {"Type": "bytes", "BytesPerPartition": "1Gb"}}
    task = a_job()["Tasks"][0] | {"InputSources": [{"Source": {"Type": "s3", "Params": params}, "Target": "/in"}]}
    body = {"Job": a_job(Name="n", Type="batch", Count="auto", Tasks=[task])}
    async with open_room(tmp_path) as room:
        for method, path in (("PUT", JOBS), ("PUT", f"{JOBS}/diff"), ("POST", f"{JOBS}/explain")):
            answer = await room.http.request(method, path, json=body)
            assert answer.status_code == 200, answer.text
        job = (await room.http.get(f"{JOBS}/n")).json()["Job"]
        assert (job["Count"], job["AutoCount"]) == (1, True)
        for count in ("many", "2", "automatic"):
            refused = await room.http.put(JOBS, json={"job": a_job(count=count)})
            assert refused.status_code == 400 and "field 'Job.Count'" in refused.json()["Message"]
        refused = await room.http.put(JOBS, json={"job": a_job(Type="batch") | {"Count": " Auto "}})
        assert "count auto needs an input that says how many bytes make a partition" in refused.json()["Message"]


async def test_unknown_fields_are_warned_of_but_envelope_keys_are_not(tmp_path):
    async with open_room(tmp_path) as room:
        body = {"Job": a_job(Nope=1), "Credential": None, "Namespace": "default", "IdempotencyToken": "x", "Dry": True}
        answer = (await room.http.put(JOBS, json=body)).json()
        assert sorted(answer["Warnings"]) == ["unknown field 'Dry' is ignored", "unknown field 'Job.Nope' is ignored"]


async def test_unknown_parameters_are_warned_of_and_named_where_the_job_is_refused(tmp_path):
    task = {"Name": "main", "Engine": {"Type": "noop", "Params": {"Exitcode": 0, "Sleeep": 1}}}
    path = "'Job.Tasks[0].Engine.Params'"
    note = f"unknown field: 'Sleeep' in {path} (did you mean 'Sleep'?), ignored"
    async with open_room(tmp_path) as room:
        for method, route in (("PUT", JOBS), ("POST", f"{JOBS}/explain")):
            answer = await room.http.request(method, route, json={"Job": a_job(Tasks=[task])})
            assert (answer.status_code, answer.json()["Warnings"]) == (200, [note])
        refused = await room.http.put(JOBS, json={"Job": a_job(Type="bach", Tasks=[task])})
        assert refused.json()["Message"].splitlines()[1:] == [note]
        task["Engine"]["Params"] = {f"k{number}": 1 for number in range(2000)}
        assert len((await room.http.put(JOBS, json={"Job": a_job(Tasks=[task])})).json()["Warnings"]) == 100


async def test_of_very_many_unknown_fields_the_first_are_told(tmp_path):
    async with open_room(tmp_path) as room:
        warnings = (await room.http.put(JOBS, json={"Job": a_job(**{f"k{i}": 1 for i in range(200)})})).json()[
            "Warnings"
        ]
        assert warnings[99:] == ["unknown field 'Job.k99' is ignored", "100 more unknown fields are ignored"]


async def test_large_bodies_are_read_beside_the_loop_and_refused_in_few_words(tmp_path):
    async with open_room(tmp_path) as room:
        bad = {"Key": "", "Operator": "no"}
        problems = await room.http.put(JOBS, json={"Job": a_job(Constraints=[bad] * 10_000)})
        assert problems.status_code == 400 and len(problems.content) < 20_000
        assert problems.json()["Message"].endswith(" more characters)")


async def test_nulls_mean_absent_but_in_parameters(tmp_path):
    async with open_room(tmp_path) as room:
        engine = {"Type": "docker", "Params": {"Image": "busybox", "Entrypoint": None}}
        task = {"Name": "main", "Engine": engine, "Env": None, "Publisher": None, "Network": None}
        job_id = await room.submit(Name=None, Namespace=None, State=None, Count=None, Tasks=[task])
        stored = (await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]
        assert stored["Tasks"][0]["Engine"] == engine
        assert (stored["Count"], stored["Namespace"], stored["Name"]) == (1, "default", job_id)


async def test_the_client_s_ids_go_into_meta(tmp_path):
    async with open_room(tmp_path) as room:
        headers = {"X-Bacalhau-InstallationID": "inst", "X-Bacalhau-InstanceID": "one"}
        answer = await room.http.put(JOBS, json={"Job": a_job()}, headers=headers)
        meta = (await room.http.get(f"{JOBS}/{answer.json()['JobID']}")).json()["Job"]["Meta"]
        assert meta["bacalhau.org/client.installation.id"] == "inst"
        assert meta["bacalhau.org/client.instance.id"] == "one"


async def test_force_makes_a_new_version(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="same")
        answer = await room.http.put(JOBS, json={"job": a_job(Name="same"), "force": True})
        assert answer.json()["JobID"] == job_id
        assert (await room.http.get(f"{JOBS}/same")).json()["Job"]["Version"] == 2


async def test_chunked_bodies_are_read(tmp_path):
    async def pieces():
        text = json.dumps({"Job": a_job(Name="chunked")}).encode()
        for i in range(0, len(text), 50):
            yield text[i : i + 50]

    async with open_room(tmp_path) as room:
        assert (await room.http.put(JOBS, content=pieces())).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(chunked, tmp_path):
    async def pieces():
        for _ in range(65):
            yield b"x" * 1_000_000

    async with open_room(tmp_path) as room:
        answer = await room.http.put(JOBS, content=pieces() if chunked else b"x" * 64_000_001)
        assert (answer.status_code, answer.json()["Message"]) == (413, "Request Entity Too Large")


async def test_truth_in_every_spelling(tmp_path):
    async with open_room(tmp_path) as room:
        first, second = await room.submit(), await room.submit()
        for text in ("1", "t", "T", "TRUE", "true", "True"):
            listed = (await room.http.get(JOBS, params={"REVERSE": text, "limit": "", "nope": "1"})).json()["Items"]
            assert [job["ID"] for job in listed] == [second, first], text
        for text in ("0", "f", "F", "FALSE", "false", "False", ""):
            listed = (await room.http.get(JOBS, params={"reverse": text})).json()["Items"]
            assert [job["ID"] for job in listed] == [first, second], text


BAD_QUERIES = {
    f"{JOBS}?limit=4294967296": "'limit' must be a whole number from 0 to 4294967295, not '4294967296'",
    f"{JOBS}?limit=1.5": "'limit'",
    f"{JOBS}?limit=²": "'limit'",
    f"{JOBS}?reverse=maybe": "'reverse' must be true or false, not 'maybe'",
    f"{JOBS}?order_by=name": "'order_by' must be one of created_at, id, modified_at, not 'name'",
    f"{JOBS}?next_token=%2F%2F": "invalid paging token: //",
    f"{JOBS}?next_token=bmFtZTpOOjE6MQ": "invalid paging token",
    f"{JOBS}?next_token=Ok46OTk5OTk5OTk5OTk5OjE": "invalid paging token",
    f"{JOBS}?next_token=Ok46wrI6MQ": "invalid paging token",
    f"{JOBS}?next_token={'Ok46MTo5' + 'OTk5' * 2000}": "invalid paging token",
    f"{JOBS}?labels=a+in+b": "unable to parse requirement",
    f"{JOBS}/x/history?since=-1": "'since' must be a whole number",
    f"{JOBS}/x/history?wait=61": "'wait' must be a whole number from 0 to 60, not '61'",
    f"{JOBS}/x?job_version=a": "'job_version'",
    f"{JOBS}/x/executions?order_by=size": "'order_by' must be one of",
    f"{NODES}?order_by=age": "'order_by' must be one of",
    f"{NODES}?filter-status=gone": "'filter-status' must be one of CONNECTED, DISCONNECTED, not 'gone'",
    f"{NODES}?filter_approval=maybe": "'filter-approval' must be one of APPROVED, PENDING, REJECTED, not 'maybe'",
}


async def test_a_bad_query_names_parameter_and_value(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        for path, text in BAD_QUERIES.items():
            answer = await room.http.get(path)
            with subtests.test(path):
                assert answer.status_code == 400, answer.text
                assert text in answer.json()["Message"]


async def test_all_bad_parameters_are_named_at_once(tmp_path):
    async with open_room(tmp_path) as room:
        message = (await room.http.get(JOBS, params={"limit": "a", "reverse": "b"})).json()["Message"]
        assert "'limit'" in message and "'reverse'" in message


async def test_labels_filter_jobs_and_repeat(tmp_path):
    async with open_room(tmp_path) as room:
        wanted = await room.submit(Labels={"zone": "eu", "tier": "a"})
        await room.submit(Labels={"zone": "eu"})
        listed = (await room.http.get(JOBS, params=[("labels", "zone=eu"), ("labels", "tier in (a,b)")])).json()[
            "Items"
        ]
        assert [job["ID"] for job in listed] == [wanted]


async def test_names_with_slashes(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="team/nightly run")
        answer = await room.http.get(f"{JOBS}/team%2Fnightly%20run/executions")
        assert answer.json() == {"NextToken": "", "Items": []}
        assert (await room.http.get(f"{JOBS}/team%2fnightly%20run")).json()["Job"]["ID"] == job_id


@pytest.mark.parametrize(
    ("body", "query", "reason"),
    [(None, "?reason=by+query", "by query"), ({"Reason": "by body"}, "?reason=q", "by body"), ({}, "", "")],
)
async def test_stop_takes_its_reason_from_body_or_query(body, query, reason, tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        answer = await room.http.request("DELETE", f"{JOBS}/{job_id}{query}", json=body)
        assert answer.json()["EvaluationID"] == evaluation_id(job_id, 1, 0)
        state = (await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]["State"]
        assert (state["StateType"], state.get("Message", "")) == ("Stopped", reason)
        assert (await room.http.delete(f"{JOBS}/{job_id}")).json() == {"EvaluationID": ""}


async def test_a_stop_and_the_end_of_what_runs_are_one_step(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        running = Execution(
            id="e-1",
            job_id=job_id,
            job_version=1,
            node_id="n-1",
            compute_state=ComputeState(state_type=ComputeStateType.RUNNING),
        )
        await room.orch.commit(Change(new_executions=(running,)))
        answer = await room.http.delete(f"{JOBS}/{job_id}")
        assert answer.json()["EvaluationID"] == evaluation_id(job_id, 1, 1)
        execution = (await room.http.get(f"{JOBS}/{job_id}/executions")).json()["Items"][0]
        assert execution["DesiredState"]["Message"] == "Execution stop requested because job has been stopped"
        assert execution["ComputeState"]["StateType"] == ComputeStateType.CANCELLED


async def test_angle_brackets_are_escaped_but_not_in_results(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="a<b>&c")
        text = (await room.http.get(f"{JOBS}/{job_id}")).text
        assert "a\\u003cb\\u003e\\u0026c" in text and "<" not in text and text.endswith("}\n")
        assert (await room.http.get(f"{JOBS}/{job_id}/results")).text == '{"NextToken":"","Items":[]}\n'


async def test_pretty_answers_are_indented(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get("/api/v1/agent/alive?pretty")
        assert answer.text == '{\n  "Status": "OK"\n}\n'
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert "\n  " in (await room.http.get("/nope?x=1&Pretty=")).text
        assert (await room.http.get("/api/v1/agent/alive?x=pretty")).text == '{"Status":"OK"}\n'


async def test_common_headers(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get("/api/v1/agent/alive")
        for name in ("Git-Version", "Git-Commit", "Build-Date", "Build-OS", "Arch"):
            assert answer.headers[f"x-bacalhau-{name}"]
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in answer.headers
        assert len(answer.headers["x-request-id"]) == 32
        mine = await room.http.get("/nope", headers={"X-Request-ID": "mine", "Origin": room.url})
        assert (
            mine.headers["x-request-id"],
            mine.json()["RequestID"],
            mine.headers["access-control-allow-origin"],
        ) == ("mine", "mine", room.url)


async def test_preflight(tmp_path):
    async with open_room(tmp_path) as room:
        headers = {
            "Origin": room.url,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = await room.http.options(JOBS, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == room.url
        assert answer.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
        assert answer.headers["access-control-allow-headers"] == "content-type"
        assert "x-bacalhau-arch" not in answer.headers


async def test_wrong_method(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.patch(JOBS)
        assert answer.headers["allow"] == "GET, OPTIONS, POST, PUT"
        assert (await room.http.put(f"{JOBS}/x/logs")).headers["allow"] == "GET, OPTIONS"
        assert (answer.status_code, answer.json()["Message"], answer.json()["Code"]) == (
            405,
            "Method Not Allowed",
            "InternalError",
        )


async def test_old_paths_are_redirected(tmp_path):
    targets = {"/": "/api/v1/agent/version", "/version": "/api/v1/agent/version", "/livez": "/api/v1/agent/alive"}
    async with open_room(tmp_path) as room:
        for path, target in targets.items():
            answer = await room.http.get(path)
            assert (answer.status_code, answer.headers["location"]) == (301, target)


async def test_a_crash_is_one_plain_answer_and_a_log_entry(tmp_path, caplog):
    def broken(job):
        raise ZeroDivisionError("the cause")

    async with open_room(tmp_path) as room:
        room.orch.fill_defaults = broken
        answer = await room.http.put(JOBS, json={"Job": a_job()})
        assert (answer.status_code, answer.json()["Message"], answer.json()["Component"]) == (
            500,
            "Internal server error",
            "Unknown",
        )
        assert answer.json()["RequestID"] in caplog.text


async def test_the_document_names_every_route(tmp_path):
    async with open_room(tmp_path) as room:
        document = (await room.http.get("/api/v1/openapi.json")).json()
        assert document["info"]["title"] == "Bacalhau"
        assert document["paths"].keys() >= {f"{JOBS}/{{job_id}}/history", JOBS, NODES, "/api/v1/agent/alive"}
        put = document["paths"][JOBS]["put"]
        assert put["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/PutJobRequest"
        }
        assert {p["name"] for p in document["paths"][f"{JOBS}/{{job_id}}/history"]["get"]["parameters"]} >= {
            "job_id",
            "wait",
            "next_token",
        }
        names = {ref.split("/")[-1] for ref in _references(document)}
        assert names <= document["components"]["schemas"].keys()
        assert put["responses"].keys() >= {"403", "415", "421"}
        debug = document["paths"]["/api/v1/agent/debug"]["get"]["responses"]["200"]["content"]["application/json"]
        assert len(debug["schema"]["anyOf"]) == 2
        assert document["paths"][JOBS]["get"]["responses"].keys() & {"403", "415", "421"} == {"421"}
        assert (await room.http.get("/api/v1")).status_code == 404


async def test_a_socket_that_cannot_begin_is_answered(tmp_path):
    head = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 5\r\n\r\n"
    async with open_room(tmp_path) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(room.url.rsplit(":", 1)[1]))
        writer.write(f"GET {JOBS}/x/logs HTTP/1.1\r\n{head}".encode())
        async with asyncio.timeout(10):
            assert b" 400 " in await reader.readline()
        writer.close()


def _references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


async def test_an_execution_that_the_job_never_had(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        answer = await room.http.get(f"{JOBS}/{job_id}/history", params={"execution_id": "e-12"})
        assert (answer.status_code, answer.json()["Message"]) == (404, "execution not found: e-12")


async def test_an_ambiguous_id_has_its_own_code(tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit()
        await room.submit()
        answer = await room.http.get(f"{JOBS}/j-")
        assert (answer.status_code, answer.json()["Code"], answer.json()["Hint"]) == (
            409,
            "MultipleJobsFound",
            "Use full job ID",
        )


async def test_the_servers_configuration_without_what_is_empty_and_its_secrets_blanked(tmp_path):
    config = load_config(["Orchestrator.Auth.Token=hidden"], {}, {"DataDir": "/srv/bacalhau"})
    async with open_room(tmp_path, config) as room:
        told = (await room.http.get("/api/v1/agent/config")).json()["config"]
        assert told["DataDir"] == "/srv/bacalhau"
        assert told["Orchestrator"]["Auth"] == {"Token": "********"}
        assert told["Compute"]["Auth"] == {}


async def test_the_password_in_an_address_is_as_secret_as_any_other(tmp_path):
    config = load_config(
        ["Orchestrator.NATS.URL=nats://me:se@cret@h:1", "Compute.Orchestrators=nats://a:secret@h:1,tls://b@h:2,h:3"],
        {},
        {"DataDir": "/srv/bacalhau"},
    )
    async with open_room(tmp_path, config) as room:
        told = (await room.http.get("/api/v1/agent/config")).json()["config"]
        assert told["Orchestrator"]["NATS"]["URL"] == "nats://********@h:1"
        assert told["Compute"]["Orchestrators"] == ["nats://********@h:1", "tls://********@h:2", "h:3"]


async def test_what_the_orchestrator_has_in_hand(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="open")
        (active,) = (await room.http.get("/api/v1/agent/debug")).json()["ActiveJobs"]
        assert active == {"ID": job_id, "Name": "open", "Namespace": "default", "State": {"StateType": "Pending"}}


async def raw(room, text: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(room.url.rpartition(":")[2]))
    try:
        writer.write(text)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "text", [b"", b"GET / HTTP/1.1\r\nHost:", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT"]
)
async def test_a_head_that_does_not_come_closes_the_connection(text, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    async with open_room(tmp_path) as room:
        answer = await raw(room, text)
        assert answer.startswith(b"HTTP/1.1 301") if b"livez" in text else answer == b""


async def test_a_head_without_end_is_refused(tmp_path):
    async with open_room(tmp_path) as room:
        assert (await raw(room, b"GET / HTTP/1.1\r\nX: " + b"x" * (65 << 10))).startswith(b"HTTP/1.1 400 ")


async def test_a_body_that_does_not_come_is_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(request, "BODY_SECONDS", 0.1)
    async with open_room(tmp_path) as room:
        for line in (b"PUT /api/v1/orchestrator/jobs", b"POST /requester/submit"):
            head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
            answer = await raw(room, line + head + b"{")
            assert answer.startswith(b"HTTP/1.1 408 ") and b"the body did not come within 0.1 s" in answer


async def test_a_length_with_many_zeros_is_a_length(tmp_path):
    async with open_room(tmp_path) as room:
        body = json.dumps({"Job": a_job()}).encode()
        head = (
            f"PUT {JOBS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body):05000d}\r\n\r\n"
        )
        assert (await raw(room, head.encode() + body)).startswith(b"HTTP/1.1 200 ")


async def test_large_bodies_wait_for_room_and_small_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(request, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(request, "LARGE_BODIES", 0)
    async with open_room(tmp_path) as room:
        large = await room.http.put(JOBS, json={"Job": a_job(Nope="x" * request.LARGE)})
        assert (large.status_code, large.json()["Code"]) == (503, "ServiceUnavailable")
        assert (await room.http.put(JOBS, json={"Job": a_job()})).status_code == 200
