"""The Python client against servers that answer oddly, restart, or are not there."""

import asyncio
import itertools

import pytest
from aiohttp import web

from bacalhau import AsyncClient, Client
from bacalhau.client import waiting
from bacalhau.client.endpoint import CLIENT_HEADER, resolve_endpoint
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, NotFound, TimedOut, Unavailable
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType
from tests.support.scripted_api import answer, scripted_api

EVENT = {
    "SeqNum": 1,
    "Type": "JobLevel",
    "JobID": "j-1",
    "JobVersion": 1,
    "Event": {"Message": "Job submitted", "Topic": "Submission"},
    "Time": "",
}
DONE = {"Job": {"ID": "j-1", "Type": "batch", "State": {"StateType": "Completed"}}}


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))


def envelope(status, code, hint="do this"):
    return answer(
        {
            "Status": status,
            "Message": "it is so",
            "RequestID": "r",
            "Code": code,
            "Component": "JobStore",
            "Hint": hint,
        },
        status,
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "BadRequest", BadRequest),
        (404, "NotFound", NotFound),
        (409, "ResourceInUse", Conflict),
        (400, "InternalError", BadRequest),
        (503, "ServiceUnavailable", Unavailable),
        (502, "", Unavailable),
        (500, "Whatever", BacalhauError),
    ],
)
async def test_the_servers_errors_are_ours(status, code, kind):
    async def handle(request):
        return envelope(status, code)

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        with pytest.raises(BacalhauError) as caught:
            await client.get_job("j-1")
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("it is so", "do this")


@pytest.mark.parametrize("body", ["<html>proxy</html>", '{"Job": {"ID": 7}}', ""])
async def test_an_answer_that_is_none(body):
    async def handle(request):
        return answer(body)

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        with pytest.raises(BacalhauError, match="an answer this client does not understand"):
            await client.get_job("j-1")


async def test_an_error_without_an_envelope_names_the_server():
    async def handle(request):
        return web.Response(text="<html>", status=502)

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        with pytest.raises(Unavailable, match=f"{url} answered 502 Bad Gateway without an explanation") as failed:
            await client.version()
    assert failed.value.hint.startswith("is this a server of Bacalhau?")


async def test_a_server_that_leads_elsewhere():
    async def handle(request):
        return web.Response(status=301, headers={"Location": "https://elsewhere.example/api"})

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        with pytest.raises(Unavailable, match=f"{url} sends its clients on to https://elsewhere.example/api"):
            await client.version()


@pytest.mark.parametrize("text", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_a_server_that_hangs_up(text):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncClient(url) as client:
            with pytest.raises(Unavailable, match=f"the server at {url} closed the connection without a whole answer"):
                await client.version()


async def test_nobody_listens():
    async def handle(request):
        return answer({})

    async with scripted_api(handle) as url:
        pass
    async with AsyncClient(url) as client:
        with pytest.raises(Unavailable) as caught:
            await client.version()
    assert caught.value.message == f"cannot reach the orchestrator at {url}: connection refused"
    assert "bacalhau devstack" in caught.value.hint and "BACALHAU_API_HOST" in caught.value.hint


@pytest.mark.parametrize("url", ["ftp://x", "x:1"])
async def test_no_url(url):
    with pytest.raises(BadRequest, match="not an URL of an API"):
        async with AsyncClient(url):
            pass


async def test_a_submission_carries_the_job_and_the_clients_identity():
    seen = []

    async def handle(request):
        seen.append((request.method, request.path, request.headers[CLIENT_HEADER], await request.json()))
        return answer({"JobID": "j-1", "EvaluationID": "v", "Warnings": ["careful"]})

    text = "name: n\ntype: batch\ntasks: [{name: main, engine: {type: docker, params: {Image: i}}}]"
    async with scripted_api(handle) as url, AsyncClient.at(resolve_endpoint(url)) as client:
        assert await client.submit(text) == "j-1"
        assert await client.submit({"Name": "n", "Type": "batch", "Tasks": []}) == "j-1"
        assert (await client.put_job(Job(name="n"), force=True)).warnings == ("careful",)
        with pytest.raises(BadRequest, match="unknown field: 'Namee'"):
            await client.submit("Namee: n")
    method, path, own, body = seen[0]
    assert (method, path, len(own)) == ("PUT", "/api/v1/orchestrator/jobs", 64)
    assert body["Job"]["Tasks"][0]["Engine"] == {"Type": "docker", "Params": {"Image": "i"}}
    assert [s[3].get("Force", False) for s in seen] == [False, False, True]


async def test_waiting_is_one_request_after_another():
    queries, news = [], []

    async def handle(request):
        if not request.path.endswith("/history"):
            return answer(DONE)
        queries.append(dict(request.query))
        step = {"ExecutionID": "e-1", "JobID": "j-1", "Stage": "staging", "Done": 1, "Total": 2}
        answers = {
            "": {"NextToken": "a", "Items": [EVENT]},
            "a": {"NextToken": "b", "Items": [], "Progress": [step], "ProgressSeq": 4},
            "b": {"NextToken": "", "Items": []},
        }
        return answer(answers[request.query.get("next_token", "")])

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        job = await client.wait("j-1", timeout=10, on_event=news.append)
    assert job.state.state_type == JobStateType.COMPLETED
    assert queries == [
        {"wait": "20"},
        {"wait": "20", "next_token": "a"},
        {"wait": "20", "next_token": "b", "progress": "4"},
    ]
    assert [getattr(n, "stage", None) or n.event.message for n in news] == ["Job submitted", "staging"]


async def test_a_server_that_cannot_wait_is_asked_now_and_then():
    times = []

    async def handle(request):
        if not request.path.endswith("/history"):
            return answer(DONE)
        times.append(asyncio.get_running_loop().time())
        return answer({"NextToken": "" if len(times) == 3 else "t", "Items": []})

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        await client.wait("j-1")
    assert [0.4 < later - sooner < 2 for sooner, later in itertools.pairwise(times)] == [True, True]


async def test_waiting_outlives_a_restart_of_the_server():
    gone, asked, away = asyncio.Event(), [], []

    async def before(request):
        asked.append(request.query.get("next_token"))
        if len(asked) == 1:
            return answer({"NextToken": "a", "Items": [EVENT]})
        gone.set()
        request.transport.abort()
        return answer({})

    async def after(request):
        asked.append(request.query.get("next_token"))
        return answer({"NextToken": "", "Items": []} if request.path.endswith("/history") else DONE)

    async with asyncio.TaskGroup() as tasks:
        async with scripted_api(before) as url:
            client = await AsyncClient(url).__aenter__()
            wait = tasks.create_task(client.wait("j-1", timeout=30, on_away=away.append))
            await gone.wait()
        async with scripted_api(after, port=int(url.rpartition(":")[2])):
            job = await wait
            await client.__aexit__(None, None, None)
    assert job.is_done and asked[:2] == [None, "a"] and asked[-2:] == ["a", None]
    assert len(away) == 1


async def test_waiting_gives_up_on_a_server_that_stays_away(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.3)
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(Unavailable, match="cannot reach the orchestrator"):
            await client.wait("j-1")


async def test_waiting_has_a_limit():
    async def handle(request):
        return answer({"NextToken": "t", "Items": []})

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        with pytest.raises(TimedOut, match=r"job j-1 has not ended within 0\.2 s"):
            await client.wait("j-1", timeout=0.2)


async def test_a_service_has_been_waited_for_when_it_runs():
    running = EVENT | {"Event": {"Message": "Running", "Topic": "State Update", "Details": {"NewState": "Running"}}}

    async def handle(request):
        if request.path.endswith("/history"):
            return answer({"NextToken": "t", "Items": [running]})
        return answer({"Job": {"ID": "j-1", "Type": "service", "State": {"StateType": "Running"}}})

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        assert (await client.wait("j-1")).state.state_type == JobStateType.RUNNING


def log_server(*frames, close=True):
    async def handle(request):
        if not request.path.endswith("/logs"):
            return answer(DONE)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for frame in frames:
            await socket.send_json(frame)
        if close:
            await socket.close()
        else:
            request.transport.abort()
        return socket

    return handle


async def test_logs_come_by_stream():
    frames = ({"value": {"Type": 1, "Line": "out\n"}}, {"value": {"Type": 2, "Line": "err\n"}})
    async with scripted_api(log_server(*frames)) as url, AsyncClient(url) as client:
        assert [piece async for piece in client.logs("j-1", follow=True)] == [(1, "out\n"), (2, "err\n")]


async def test_logs_end_with_the_servers_error_or_with_the_connection():
    async with (
        scripted_api(log_server({"error": "job not found: j-1", "value": {"Type": 0, "Line": ""}})) as url,
        AsyncClient(url) as client,
    ):
        with pytest.raises(NotFound, match="job not found: j-1"):
            [piece async for piece in client.logs("j-1")]
    async with (
        scripted_api(log_server({"value": {"Type": 1, "Line": "a"}}, close=False)) as url,
        AsyncClient(url) as client,
    ):
        with pytest.raises(Unavailable, match="was lost while reading the log"):
            [piece async for piece in client.logs("j-1")]


async def test_the_client_without_await_has_the_same_verbs():
    frames = ({"value": {"Type": 1, "Line": "a"}}, {"value": {"Type": 1, "Line": "b"}})
    async with scripted_api(log_server(*frames)) as url:

        def use():
            with Client(url) as client:
                assert client.get_job("j-1").is_done
                assert [text for _, text in client.logs("j-1")] == ["a", "b"]
                first = client.logs("j-1")
                assert next(first) == (1, "a")
                first.close()
            client.close()

        await asyncio.to_thread(use)


def test_both_faces_have_the_same_public_verbs():
    public = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert public <= {name for name in vars(AsyncClient) if not name.startswith("_")}
