"""Answers that wait: history as a long poll, the log socket, and a server that stops without waiting for either."""

import asyncio
import json
import time

import httpx
import pytest
from msgspec.structs import replace
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bacalhau.api.app import listen, make_app, serve_http, serve_on
from bacalhau.lib.aio import crew, together
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution, RunCommandResult
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.messages.inbox import on_progress
from bacalhau.ports.bus import Delivery
from tests.api.room import JOBS, Room, open_room

EXECUTION = "e-5fdad16a-ec7a-431b-ad52-c48b6c2927da"


async def until_waiting(room: Room, job_id: str) -> None:
    """Returns when a request waits for news of the job."""
    while job_id not in room.orch.board._watches:
        await room.http.get("/api/v1/agent/alive")


async def put_execution(room: Room, job_id: str, state: ComputeStateType, **fields) -> None:
    execution = Execution(
        id=EXECUTION, job_id=job_id, job_version=1, revision=1, compute_state=ComputeState(state_type=state), **fields
    )
    await room.orch.commit(Change(new_executions=(execution,)))


async def test_history_is_a_cursor(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="cursor")
        first = (await room.http.get(f"{JOBS}/cursor/history", params={"limit": 1})).json()
        assert [item["SeqNum"] for item in first["Items"]] == [1]
        second = (await room.http.get(f"{JOBS}/{job_id}/history", params={"next_token": first["NextToken"]})).json()
        assert second["Items"] == [] and second["NextToken"]
        await room.http.delete(f"{JOBS}/{job_id}")
        last = (
            await room.http.get(f"{JOBS}/{job_id}/history", params={"next_token": second["NextToken"], "limit": 50})
        ).json()
        assert [item["Event"]["Message"] for item in last["Items"]] == ["Job requested to stop before completion"]
        assert last["NextToken"] == ""


async def test_a_waiting_history_answers_when_something_happens(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        token = (await room.http.get(f"{JOBS}/{job_id}/history")).json()["NextToken"]

        async def happen():
            await until_waiting(room, job_id)
            event = make_event(Topic.SCHEDULING, "news", time.time_ns())
            await room.orch.commit(Change(history=(HistoryEntry(job_id=job_id, job_version=1, event=event),)))

        waiting = room.http.get(f"{JOBS}/{job_id}/history", params={"next_token": token, "wait": 15})
        answer, _ = await together(waiting, happen())
        assert [item["Event"]["Message"] for item in answer.json()["Items"]] == ["news"]


async def test_a_waiting_history_answers_when_progress_is_made(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        token = (await room.http.get(f"{JOBS}/{job_id}/history")).json()["NextToken"]

        async def happen():
            await until_waiting(room, job_id)
            room.orch.board.put_progress(
                Progress(execution_id=EXECUTION, job_id=job_id, stage="staging", done=3, total=20)
            )

        waiting = room.http.get(f"{JOBS}/{job_id}/history", params={"next_token": token, "wait": 15})
        answer, _ = await together(waiting, happen())
        told = answer.json()
        assert told["Progress"] == [
            {"ExecutionID": EXECUTION, "JobID": job_id, "Stage": "staging", "Done": 3, "Total": 20}
        ]
        assert told["ProgressSeq"] > 0


async def test_a_waiting_job_answers_when_it_has_ended(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()

        async def stop():
            await until_waiting(room, job_id)
            return await room.http.delete(f"{JOBS}/{job_id}")

        answer, _ = await together(room.http.get(f"{JOBS}/{job_id}", params={"wait": 15}), stop())
        assert answer.json()["Job"]["State"]["StateType"] == "Stopped"


@pytest.mark.parametrize("path", ["", "/history"])
async def test_a_server_that_stops_answers_who_waits(path, tmp_path):
    async with open_room(tmp_path) as room, httpx.AsyncClient(timeout=20) as other, crew() as tasks:
        job_id = await room.submit()
        token = (await room.http.get(f"{JOBS}/{job_id}/history")).json()["NextToken"]
        async with serve_http(make_app(room.orch), "127.0.0.1", 0) as url:
            waiting = tasks.start(other.get(f"{url}{JOBS}/{job_id}{path}", params={"next_token": token, "wait": 60}))
            await until_waiting(room, job_id)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        answer = (await waiting).json()
        assert answer["Items"] == [] if path else answer["Job"]["State"]["StateType"] == "Pending"


async def test_a_request_that_comes_before_anybody_serves_waits_for_its_answer(tmp_path):
    async with open_room(tmp_path) as room:
        with listen("127.0.0.1", 0) as listener:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET /api/v1/agent/alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await writer.drain()
            async with serve_on(make_app(room.orch), listener, None):
                assert (await reader.read()).endswith(b'{"Status":"OK"}\n')
            writer.close()


async def test_a_port_in_use_is_named(tmp_path):
    async with open_room(tmp_path) as room:
        port = int(room.url.rpartition(":")[2])
        with pytest.raises(Unavailable, match=f"port {port} is in use") as failure:
            async with serve_http(make_app(room.orch), "127.0.0.1", port):
                pass
        assert "API.Port" in failure.value.hint


async def frames(room: Room, path: str) -> tuple[list[dict], int]:
    """Everything a log socket says, and the code it is closed with."""
    found = []
    async with connect(room.url.replace("http", "ws") + path) as socket:
        try:
            while True:
                text = await socket.recv()
                assert text.endswith("\n")
                found.append(json.loads(text))
        except ConnectionClosed as e:
            return found, e.rcvd.code


async def test_recorded_output_is_streamed(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await put_execution(
            room, job_id, ComputeStateType.COMPLETED, run_output=RunCommandResult(stdout="hi <b>\n", stderr="oh\n")
        )
        told, code = await frames(room, f"{JOBS}/{job_id}/logs?follow=True")
        assert told == [{"value": {"Type": 1, "Line": "hi <b>\n"}}, {"value": {"Type": 2, "Line": "oh\n"}}]
        assert code == 1000


async def test_live_output_is_streamed_until_the_end(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await put_execution(room, job_id, ComputeStateType.BID_ACCEPTED, node_id="n-1")
        room.bus.lines = [(1, "a\n"), (2, "b\n")]
        room.bus.end.set()
        told, code = await frames(room, f"{JOBS}/{job_id}/logs?follow=true&execution_id={EXECUTION}")
        assert [(f["value"]["Type"], f["value"]["Line"]) for f in told] == room.bus.lines
        assert code == 1000


async def test_a_reader_who_leaves_ends_the_stream(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await put_execution(room, job_id, ComputeStateType.BID_ACCEPTED, node_id="n-1")
        room.bus.lines = [(1, "a\n")]
        async with connect(f"{room.url.replace('http', 'ws')}{JOBS}/{job_id}/logs?follow=true") as socket:
            await socket.recv()
        await room.bus.closed.wait()


async def test_a_server_that_stops_closes_log_sockets(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await put_execution(room, job_id, ComputeStateType.BID_ACCEPTED, node_id="n-1")
        room.bus.lines = [(1, "a\n")]
        async with serve_http(make_app(room.orch), "127.0.0.1", 0) as url:
            socket = await connect(f"{url.replace('http', 'ws')}{JOBS}/{job_id}/logs?follow=true")
            await socket.recv()
            began = time.monotonic()
        assert time.monotonic() - began < 3
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize(
    ("query", "text"),
    [("", "job not found: nope"), ("?tail=maybe", "query parameter 'tail' must be true or false, not 'maybe'")],
)
async def test_errors_come_as_one_frame(query, text, tmp_path):
    async with open_room(tmp_path) as room:
        told, code = await frames(room, f"{JOBS}/nope/logs{query}")
        assert told == [{"error": text, "value": {"Type": 0, "Line": ""}}]
        assert code == 1000


async def test_logs_without_a_websocket(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get(f"{JOBS}/nope/logs")
        assert (answer.status_code, answer.text) == (400, "Bad Request")
        assert answer.headers["content-type"].startswith("text/plain")


async def test_progress_counts_of_what_a_node_has_only(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await put_execution(room, job_id, ComputeStateType.RUNNING, node_id="n-1")
        told = Progress(execution_id=EXECUTION, job_id=job_id, stage="staging")
        for node_id, progress in (
            ("n-2", told),
            ("n-1", replace(told, job_id="j-2")),
            ("n-1", replace(told, execution_id="e-2")),
        ):
            on_progress(room.orch, Delivery(node_id, "Progress", progress))
        assert room.orch.board.progress(job_id) == (0, ())
        on_progress(room.orch, Delivery("n-1", "Progress", told))
        assert room.orch.board.progress(job_id)[1] == (told,)
        ended = Execution(
            id=EXECUTION,
            job_id=job_id,
            job_version=1,
            revision=2,
            compute_state=ComputeState(state_type=ComputeStateType.CANCELLED),
        )
        await room.orch.commit(Change(executions=(ended,)))
        on_progress(room.orch, Delivery("n-1", "Progress", told))
        assert room.orch.board.progress(job_id) == (0, ())
