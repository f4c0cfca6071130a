"""Events as a stream: in order, resumed where they stopped, ended with the job."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from bacalhau.api.app import make_app, serve_http
from bacalhau.api.v1 import events
from bacalhau.lib.aio import crew
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.jobs.follow import PAGE
from tests.api.room import JOBS, Room, open_room

EVENTS = "/api/v1/orchestrator/events"


class Reader:
    """A client of the standard: fields of a block until an empty line; the last id stays."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""
        self.comments: list[str] = []

    async def block(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                self.last_id = found.get("id", self.last_id)
                return found
            name, _, value = line.partition(":")
            found[name or "comment"] = value.strip()
        return found

    async def next(self) -> tuple[str, dict]:
        """The next event's kind and data; heartbeats pass."""
        while block := await self.block():
            self.comments += [block["comment"]] if "comment" in block else []
            if "data" in block:
                return block["event"], json.loads(block["data"])
        return "", {}

    async def messages(self, count: int) -> list[str]:
        return [(await self.next())[1]["Event"]["Message"] for _ in range(count)]


@asynccontextmanager
async def reading(room: Room, path: str, *, last_id: str = "", url: str = "", **query) -> AsyncIterator[Reader]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with room.http.stream("GET", url + path, params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with aclosing(answer.aiter_lines()) as lines:
            yield Reader(lines)


async def happen(room: Room, job_id: str, *texts: str) -> None:
    entries = tuple(
        HistoryEntry(job_id=job_id, job_version=1, event=make_event(Topic.SCHEDULING, text, time.time_ns()))
        for text in texts
    )
    await room.orch.commit(Change(history=entries))


async def until_nobody_follows(room: Room) -> None:
    while room.orch.board._watches:
        await room.http.get("/api/v1/agent/alive")


async def test_a_job_is_told_from_its_beginning_to_its_end(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="told")
        async with reading(room, f"{JOBS}/told/events") as reader:
            kind, first = await reader.next()
            assert (kind, first["Event"]["Message"], first["SeqNum"], first["JobID"]) == (
                "history",
                "Job submitted",
                1,
                job_id,
            )
            await happen(room, job_id, "news")
            assert await reader.messages(1) == ["news"]
            room.orch.board.put_progress(Progress(execution_id="e-1", job_id=job_id, stage="staging", done=3, total=20))
            kind, told = await reader.next()
            assert (kind, told["JobID"], told["Progress"][0]["Done"]) == ("progress", job_id, 3)
            await room.http.delete(f"{JOBS}/{job_id}")
            assert await reader.messages(1) == ["Job requested to stop before completion"]
            assert await reader.next() == ("end", {"JobID": job_id, "State": {"StateType": "Stopped"}})
            assert await reader.next() == ("", {})


async def test_who_comes_back_goes_on_after_the_last_event_and_not_for_ever(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        async with reading(room, f"{JOBS}/{job_id}/events") as reader:
            await reader.next()
        await happen(room, job_id, "missed")
        async with reading(room, f"{JOBS}/{job_id}/events", last_id=reader.last_id) as again:
            assert await again.messages(1) == ["missed"]
            await room.http.delete(f"{JOBS}/{job_id}")
            assert [(await again.next())[0] for _ in range(3)] == ["history", "end", ""]
        over = await room.http.get(f"{JOBS}/{job_id}/events", headers={"Last-Event-ID": again.last_id})
        assert (over.status_code, over.content) == (204, b"")
        assert (await room.http.get(EVENTS, params={"job": job_id, "last_event_id": again.last_id})).status_code == 204


async def test_all_jobs_are_told_from_now_on(tmp_path):
    async with open_room(tmp_path) as room:
        first = await room.submit()
        async with reading(room, EVENTS) as reader:
            await reader.block()
            second = await room.submit(Namespace="other")
            await happen(room, first, "one")
            told = [(await reader.next())[1] for _ in range(2)]
            assert [(item["JobID"], item["Event"]["Message"]) for item in told] == [
                (second, "Job submitted"),
                (first, "one"),
            ]
        await until_nobody_follows(room)
        await happen(room, first, "two", "three")
        await happen(room, second, "four")
        async with reading(room, EVENTS, last_id=reader.last_id) as again:
            assert await again.messages(3) == ["two", "three", "four"]
        async with reading(room, EVENTS, last_id=reader.last_id, namespace="other") as others:
            assert await others.messages(1) == ["four"]
        async with reading(room, EVENTS, since=1, event_type="job") as whole:
            assert await whole.messages(6) == ["Job submitted", "Job submitted", "one", "two", "three", "four"]
        async with reading(room, EVENTS, job=first) as one:
            assert await one.messages(4) == ["Job submitted", "one", "two", "three"]


async def test_more_than_a_page_waits_for_a_slow_reader_in_the_store(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        wanted = [f"event {number}" for number in range(2 * PAGE + 1)]
        await happen(room, job_id, *wanted)
        async with reading(room, f"{JOBS}/{job_id}/events") as reader:
            assert await reader.messages(len(wanted) + 1) == ["Job submitted", *wanted]
        async with reading(room, EVENTS, since=1, namespace="default") as reader:
            assert await reader.messages(len(wanted) + 1) == ["Job submitted", *wanted]


async def test_a_silent_stream_says_that_it_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        async with reading(room, EVENTS) as reader, crew() as tasks:
            await reader.block()
            assert (await reader.block())["comment"] == "still here"
            assert reader.last_id
            waiting = tasks.start(reader.next())
            await happen(room, job_id, "news")
            assert (await waiting)[1]["Event"]["Message"] == "news"


async def test_a_job_that_is_forgotten_ends_its_stream(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        async with reading(room, f"{JOBS}/{job_id}/events") as reader:
            await reader.next()
            (job,) = await room.orch.store.list_open_jobs()
            await room.http.delete(f"{JOBS}/{job.id}")
            assert [(await reader.next())[0] for _ in range(3)] == ["history", "end", ""]
        await room.orch.store.forget_jobs([job_id])
        assert (await room.http.get(f"{JOBS}/{job_id}/events")).status_code == 404


@pytest.mark.parametrize("topic", [EVENTS, f"{JOBS}/known/events"])
async def test_a_server_that_stops_ends_its_streams_and_a_reader_who_leaves_is_forgotten(topic, tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit(Name="known")
        async with reading(room, topic) as reader:
            await reader.block()
        await until_nobody_follows(room)
        async with crew() as tasks:
            async with serve_http(make_app(room.orch), "127.0.0.1", 0) as url:
                opened = reading(room, topic, url=url)
                reader = await opened.__aenter__()
                await reader.block()
                rest = tasks.start(_rest(reader))
                began = time.monotonic()
            assert time.monotonic() - began < 3
            assert await rest in ([], ["history"])
            await opened.__aexit__(None, None, None)


async def _rest(reader: Reader) -> list[str]:
    found = []
    while (kind := (await reader.next())[0]) != "":
        found.append(kind)
    return found


@pytest.mark.parametrize(
    ("path", "last_id", "status", "text"),
    [
        (EVENTS, "12", 400, "Last-Event-ID must be one that this stream gave, not '12'"),
        (EVENTS, "1-2-x", 400, "not '1-2-x'"),
        (f"{EVENTS}?event_type=zzz", "", 400, "'event_type' must be one of"),
        (f"{EVENTS}?job=nope", "", 404, "job not found: nope"),
        (f"{JOBS}/known/events", "1-2-3", 400, "Last-Event-ID must be the number of an event of this job, not '1-2-3'"),
        (f"{JOBS}/nope/events", "", 404, "job not found: nope"),
    ],
)
async def test_what_is_refused(path, last_id, status, text, tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit(Name="known")
        answer = await room.http.get(path, headers={"Last-Event-ID": last_id})
        assert answer.status_code == status
        assert text in answer.json()["Message"]
