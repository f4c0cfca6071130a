"""The log socket over the orchestrator's own copy: whose logs are taken, where reading begins, goes on and ends."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bacalhau.client.client import AsyncClient
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution, RunCommandResult
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import CONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.models.wire.messages import LogEnd, LogPart, Progress, PutLogsRequest
from tests.api.room import JOBS, open_room

C = ComputeStateType
NODE = "n-1"


class Logs:
    """A job whose node of our make says what a test wants."""

    def __init__(self, room, job_id):
        self.room, self.job_id, self.revisions = room, job_id, {}
        node = NodeState(
            info=NodeInfo(node_id=NODE),
            connection=CONNECTED,
            connection_state=ConnectionState(status=CONNECTED),
            native=True,
        )
        room.orch.cluster.put(node, now_ns())

    async def execution(self, execution_id, state, message="", **fields):
        """A new state of an execution, as of now."""
        revision = self.revisions[execution_id] = self.revisions.get(execution_id, 0) + 1
        fields |= {
            "compute_state": ComputeState(state_type=state, message=message),
            "create_time": now_ns(),
            "modify_time": now_ns(),
        }
        made = Execution(id=execution_id, job_id=self.job_id, job_version=1, node_id=NODE, revision=revision, **fields)
        history = (
            HistoryEntry(
                job_id=self.job_id,
                job_version=1,
                event=make_event(Topic.EXECUTION, "changed", now_ns()),
                execution_id=execution_id,
            ),
        )
        change = (
            Change(new_executions=(made,), history=history)
            if revision == 1
            else Change(executions=(made,), history=history)
        )
        await self.room.orch.commit(change)

    async def end_job(self, state=JobStateType.COMPLETED):
        job = await self.room.orch.store.find_job(self.job_id)
        ended = msgspec.structs.replace(
            job, state=JobState(state_type=state), revision=job.revision + 1, modify_time=now_ns()
        )
        await self.room.orch.commit(Change(jobs=(ended,)))

    async def put(self, execution_id, stream, offset, data, *, ended=False, node_id=NODE):
        part = LogPart(execution_id=execution_id, stream=stream, offset=offset, data=data)
        request = PutLogsRequest(parts=(part,), ended=(execution_id,) if ended else ())
        return (await self.room.orch.logs.on_put_logs(self.room.orch.store, node_id, request)).ends[0]

    @asynccontextmanager
    async def reading(self, **query):
        url = f"{self.room.url.replace('http', 'ws')}{JOBS}/{self.job_id}/logs?{urlencode(query, doseq=True)}"
        async with connect(url) as socket, asyncio.timeout(20):
            yield socket

    async def read(self, **query):
        async with self.reading(**query) as socket:
            return [json.loads(message) async for message in socket]

    async def text(self, **query):
        return "".join(frame["value"]["Line"] for frame in await self.read(**query))


@pytest.fixture
async def logs(tmp_path):
    async with open_room(tmp_path) as room:
        yield Logs(room, await room.submit())


async def line(socket):
    return json.loads(await socket.recv())["value"]["Line"]


async def test_a_node_writes_its_own_logs_only(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    assert await logs.put("e-1", 1, 0, b"mine\n") == LogEnd(execution_id="e-1", stdout=5)
    assert await logs.put("e-1", 1, 5, b"forged\n", node_id="n-2") == LogEnd(execution_id="e-1", unwanted=True)
    assert await logs.put("e-unknown", 1, 0, b"x") == LogEnd(execution_id="e-unknown", unwanted=True)
    with pytest.raises(BadRequest, match="no stream 3"):
        await logs.put("e-1", 3, 0, b"x")
    await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout_truncated=True))
    assert await logs.put("e-1", 1, 5, b"", ended=True) == LogEnd(execution_id="e-1", stdout=5)
    assert await logs.text() == "mine\n"


async def test_following_goes_on_with_what_replaces_a_failed_execution_and_ends_with_the_job(logs):
    async with logs.reading(follow=True) as socket:
        await logs.execution("e-1", C.BID_ACCEPTED)
        await logs.put("e-1", 1, 0, b"first\n")
        assert await line(socket) == "first\n"
        await logs.execution("e-1", C.FAILED, run_output=RunCommandResult(stdout="first\nfailed\n"))
        assert await line(socket) == "failed\n"
        await logs.execution("e-2", C.BID_ACCEPTED)
        await logs.put("e-2", 2, 0, b"second\n")
        assert await line(socket) == "second\n"
        await logs.execution("e-2", C.FAILED)
        await logs.end_job(JobStateType.FAILED)
        assert [message async for message in socket] == []
    assert await logs.text() == "second\n"
    assert await logs.text(all=True) == "first\nfailed\nsecond\n"
    assert await logs.text(execution_id="e-1") == "first\nfailed\n"
    assert (await logs.read(execution_id="e-"))[0]["error"] == "2 executions have an id that begins with e-"
    assert "unable to find execution e-3" in (await logs.read(execution_id="e-3"))[0]["error"]


async def test_the_rest_of_a_long_log_is_waited_for(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    await logs.put("e-1", 1, 0, b"begin\n")
    async with logs.reading(follow=True) as socket:
        assert await line(socket) == "begin\n"
        await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="begin\n", stdout_truncated=True))
        await logs.put("e-1", 1, 6, b"end\n")
        assert await line(socket) == "end\n"
        await logs.put("e-1", 1, 10, b"", ended=True)
        assert [message async for message in socket] == []


async def test_what_a_lost_node_took_with_it_is_said(logs):
    output = RunCommandResult(stdout="begin\n", stdout_truncated=True)
    await logs.execution("e-1", C.COMPLETED, run_output=output)
    node = logs.room.orch.cluster.get(NODE)
    logs.room.orch.cluster.put(msgspec.structs.replace(node, connection_state=ConnectionState()), now_ns())
    assert await logs.text() == "begin\n\n[the rest of the output is lost: its node is gone]\n"


async def test_a_cancelled_execution_tells_what_it_printed(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    async with logs.reading(follow=True) as socket:
        await logs.execution("e-1", C.CANCELLED)
        await logs.end_job(JobStateType.STOPPED)
        await logs.put("e-1", 1, 0, b"so far\n")
        assert await line(socket) == "so far\n"
        await logs.put("e-1", 1, 7, b"", ended=True)
        assert [message async for message in socket] == []


async def test_a_cancelled_execution_without_output_ends_at_once_when_its_node_says_so(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    async with logs.reading(follow=True) as socket:
        await logs.execution("e-1", C.CANCELLED)
        await logs.end_job(JobStateType.STOPPED)
        await logs.put("e-1", 1, 0, b"", ended=True)
        assert [message async for message in socket] == []


async def test_reading_goes_on_where_it_stopped(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    await logs.put("e-1", 1, 0, "€1\n".encode())
    await logs.put("e-1", 2, 0, b"err\n")
    async with logs.reading(follow=True, positions=True) as socket:
        first = json.loads(await socket.recv())
    assert first == {"value": {"Type": 1, "Line": "€1\n"}, "Execution": "e-1", "Position": "5.0"}
    await logs.put("e-1", 1, 5, b"2\n")
    await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="€1\n2\n", stderr="err\n"))
    after = f"{first['Execution']}:{first['Position']}"
    assert await logs.text(follow=True, after=after) == "err\n2\n"
    assert await logs.text(follow=True, after="e-1:7.4") == ""
    for wrong in ("e-1", "e-1:².1", "e-1:1." + "9" * 5000):
        assert "EXECUTION:POSITION" in (await logs.read(after=wrong))[0]["error"]


async def test_tail_is_from_now_on_and_tail_lines_are_the_last(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    await logs.put("e-1", 1, 0, b"1\n2\n3\n")
    async with logs.reading(follow=True, tail=True) as tail, logs.reading(follow=True, tail_lines=2) as last:
        assert await line(last) == "2\n"
        assert await line(last) == "3\n"
        while len(logs.room.orch.logs._watches.get(logs.job_id, ())) < 2:
            await logs.room.http.get("/api/v1/agent/alive")
        await logs.room.http.get(f"{JOBS}/{logs.job_id}")
        await logs.put("e-1", 1, 6, b"4\n")
        assert await line(tail) == "4\n"
        assert await line(last) == "4\n"
    assert await logs.text(tail=True) == ""
    await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="1\n2\n3\n4\n"))
    assert await logs.text(tail=True, follow=True) == ""
    assert await logs.text(tail_lines=2) == "3\n4\n"


async def test_the_order_of_both_streams_comes_from_the_node_after_the_record(logs):
    await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="a\nc\n", stderr="b\n"))
    for stream, offset, data in ((1, 0, b"a\n"), (2, 0, b"b\n"), (1, 2, b"c\n")):
        await logs.put("e-1", stream, offset, data, ended=offset == 2)
    assert await logs.text() == await logs.text(follow=True) == "a\nb\nc\n"


async def test_the_last_lines_of_a_running_job_that_its_node_alone_has(logs):
    logs.room.bus.lines = [(1, "1\n2\n"), (1, "3\n"), (1, "4\n")]
    await logs.execution("e-1", C.BID_ACCEPTED)
    assert await logs.text(tail_lines=2) == "3\n4\n"
    assert await logs.text() == "1\n2\n3\n4\n"


async def test_wide_is_the_current_execution_of_each_partition(logs):
    for execution_id, partition, state in (("e-1", 0, C.FAILED), ("e-2", 0, C.COMPLETED), ("e-3", 1, C.COMPLETED)):
        await logs.execution(
            execution_id, state, partition_index=partition, run_output=RunCommandResult(stdout=f"{execution_id}\n")
        )
    assert await logs.text(wide=True) == "e-2\ne-3\n"
    assert await logs.text() == "e-3\n"
    assert await logs.text(all=True) == "e-1\ne-2\ne-3\n"


async def test_what_never_ran_tells_why(logs):
    await logs.execution("e-1", C.FAILED, "bucket nope does not exist", run_output=RunCommandResult(exit_code=-1))
    assert await logs.read() == [{"error": "bucket nope does not exist", "value": {"Type": 0, "Line": ""}}]


async def test_following_an_execution_that_the_job_never_had_does_not_wait(logs):
    await logs.execution("e-1", C.BID_ACCEPTED)
    assert "unable to find execution e-3" in (await logs.read(execution_id="e-3", follow=True))[0]["error"]


async def test_a_node_of_another_make_that_cannot_be_asked_is_not_asked_without_a_pause(logs):
    asked = []

    async def away(node_id, execution_id, **how):
        asked.append(node_id)
        raise Unavailable("nobody listens")
        yield

    logs.room.bus.stream_logs = away
    logs.room.orch.cluster.put(msgspec.structs.replace(logs.room.orch.cluster.get(NODE), native=False), now_ns())
    await logs.execution("e-1", C.RUNNING)
    async with logs.reading(follow=True) as socket:
        while len(asked) < 2:
            await logs.room.http.get("/api/v1/agent/alive")
        await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="all\n"))
        await logs.end_job()
        assert await line(socket) == "all\n"
    assert len(asked) < 5


async def test_a_socket_carries_what_every_answer_carries_and_one_that_leads_nowhere_says_so(logs):
    async with logs.reading() as socket:
        assert socket.response.headers["x-bacalhau-git-version"] and len(socket.response.headers["x-request-id"]) == 32
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{logs.room.url.replace('http', 'ws')}{JOBS}/{logs.job_id}/history")
    body = json.loads(refused.value.response.body)
    assert (body["Status"], body["RequestID"]) == (404, refused.value.response.headers["x-request-id"])


class Counting:
    """A store that counts how often all executions of a job are read."""

    def __init__(self, store):
        self.store, self.lists = store, 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def list_executions(self, *arguments):
        self.lists += 1
        return await self.store.list_executions(*arguments)


@pytest.mark.parametrize("query", [{}, {"wide": True}, {"all": True}, {"execution_id": "e-7"}])
async def test_following_a_job_reads_its_executions_at_its_beginning_and_end_alone(logs, query):
    orch = logs.room.orch
    counting = orch.store = Counting(orch.store)
    told = []
    for n in range(6):
        await logs.execution(f"e-{n}", C.FAILED, partition_index=n)
    is_named = "execution_id" in query  # an execution that is not there yet is refused
    if is_named:
        await logs.execution("e-7", C.BID_ACCEPTED, partition_index=7)
    async with logs.reading(follow=True, **query) as socket:
        if not is_named:
            await logs.execution("e-7", C.BID_ACCEPTED, partition_index=7)
        for n in range(5):
            orch.board.put_progress(Progress(execution_id="e-7", job_id=logs.job_id))
            await logs.put("e-7", 1, 2 * n, b"%d\n" % n)
            told += [await line(socket)]
        whole = RunCommandResult(stdout="0\n1\n2\n3\n4\nlast\n")
        await logs.execution("e-7", C.COMPLETED, partition_index=7, run_output=whole)
        await logs.end_job()
        told += [json.loads(message)["value"]["Line"] async for message in socket]
    assert "".join(told) == whole.stdout
    assert counting.lists <= 2


async def test_the_client_can_ask_for_no_earlier_lines(logs):
    await logs.execution("e-1", C.COMPLETED, run_output=RunCommandResult(stdout="1\n2\n3\n"))
    async with AsyncClient(logs.room.url) as client:
        for lines, expected in ((0, ""), (1, "3\n"), (None, "1\n2\n3\n")):
            pieces = [text async for _, text in client.logs(logs.job_id, tail_lines=lines)]
            assert "".join(pieces) == expected
