"""Ids, names and labels of strangers at every door of the orchestrator: what can be none is refused in words."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.client.client import AsyncClient
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.nodes.handshake import on_request
from bacalhau.ports.bus import Delivery
from tests.api.room import JOBS, NODES, a_job, open_room
from tests.api.test_nodes import info, join

EVIL = "j-../../../evil"
QUOTED = "j-..%2F..%2F..%2Fevil"
PATHS = [
    ("GET", f"{JOBS}/{QUOTED}"),
    ("DELETE", f"{JOBS}/{QUOTED}"),
    *(("GET", f"{JOBS}/{QUOTED}/{part}") for part in ("history", "executions", "versions", "results", "explain")),
    ("GET", f"{JOBS}/{QUOTED}/events"),
    ("PUT", f"{JOBS}/{QUOTED}/rerun"),
    ("GET", f"{NODES}/{QUOTED}"),
    ("PUT", f"{NODES}/{QUOTED}"),
    ("GET", f"{JOBS}?namespace={QUOTED}"),
    ("GET", f"{JOBS}/j-1/history?execution_id={QUOTED}"),
    ("GET", f"/api/v1/orchestrator/events?job={QUOTED}"),
    *(("GET", f"{JOBS}/j-1{part}?namespace={QUOTED}") for part in ("", "/history", "/executions", "/versions")),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_paths_and_queries(tmp_path, method, path):
    async with open_room(tmp_path) as room:
        answer = await room.http.request(method, path, json=None if method == "GET" else {"Action": "approve"})
        assert answer.status_code == 400, answer.text
        assert f"not '{EVIL}'" in answer.json()["Message"] and " must be " in answer.json()["Message"]


@pytest.mark.parametrize("path", [f"{QUOTED}/logs", f"j-1/logs?execution_id={QUOTED}", f"j-1/logs?after={QUOTED}:1.1"])
async def test_the_log_socket(tmp_path, path):
    async with open_room(tmp_path) as room, connect(f"ws{room.url.removeprefix('http')}{JOBS}/{path}") as socket:
        assert f"not '{EVIL}'" in json.loads(await socket.recv())["error"]


@pytest.mark.parametrize("path", ["states", "events", "results"])
async def test_the_older_generation(tmp_path, path):
    async with open_room(tmp_path) as room:
        answer = await room.http.post(f"/api/v1/requester/{path}", json={"job_id": EVIL, "client_id": "c"})
        assert answer.status_code == 400 and f"not '{EVIL}'" in answer.text
        answer = await room.http.post("/api/v1/requester/list", json={"client_id": EVIL})
        assert answer.status_code == 400 and f"not '{EVIL}'" in answer.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Name": EVIL}, "job name must be"),
        ({"Name": "a\x1b[m"}, r"job name 'a\x1b[m' has control characters"),
        ({"Namespace": EVIL}, "job namespace must be"),
        ({"Namespace": "a\u202eb"}, r"job namespace 'a\u202eb' has control characters"),
        ({"Labels": {"a\x07": "b"}}, r"job label 'a\x07' has control characters"),
        ({"Labels": {"a": "b\x9b"}}, r"job label a: 'b\x9b' has control characters"),
        ({"ID": EVIL, "Type": "service"}, "job id must be"),
        ({"Tasks": [a_job()["Tasks"][0] | {"Name": "t\x1b"}]}, r"name 't\x1b' has control characters"),
    ],
)
async def test_specs_of_jobs(tmp_path, changes, told):
    async with open_room(tmp_path) as room:
        answer = await room.http.put(JOBS, json={"Job": a_job(**changes)})
        assert answer.status_code == 400 and told in answer.json()["Message"]


async def test_names_as_people_write_them(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="équipe 7/nightly run..", Namespace="équipe 7", Labels={"a b": "ü/x"})
        for path in (f"{JOBS}/{job_id[:6]}", f"{JOBS}/%C3%A9quipe%207%2Fnightly%20run..?namespace=%C3%A9quipe%207"):
            assert (await room.http.get(path)).json()["Job"]["ID"] == job_id


async def test_labels_of_nodes(tmp_path):
    async with open_room(tmp_path) as room:
        with pytest.raises(BadRequest, match=r"label 'zo\\x1bne' has control characters"):
            await join(room, "n-1", **{"zo\x1bne": "a"})
        await join(room, "n-1", zone="a")
        update = m.UpdateNodeInfoRequest(node_info=info("n-1", zone="a\x07"))
        with pytest.raises(BadRequest, match=r"label zone: 'a\\x07' has control characters"):
            await on_request(room.orch, Delivery("n-1", m.MESSAGE_NAMES[type(update)], update))


@pytest.mark.parametrize(
    "message",
    [
        m.RunResult(execution_id=EVIL),
        m.RunResult(execution_id="e-1", job_id=EVIL),
        m.HandshakeRequest(node_info=NodeInfo(node_id=EVIL)),
        m.HandshakeRequest(node_info=NodeInfo(node_id="n-1"), running=("e-1", EVIL)),
        m.PutLogsRequest(parts=(m.LogPart(execution_id=EVIL, data=b"x"),)),
        m.PutLogsRequest(ended=(EVIL,)),
        m.PublishRequest(execution_id=EVIL),
        m.Progress(execution_id=EVIL),
        m.AskForBid(execution=Execution(id=EVIL)),
        m.CancelExecution(execution_id=EVIL),
    ],
)
def test_messages_of_nodes_and_to_them(message):
    name = m.MESSAGE_NAMES[type(message)]
    with pytest.raises(BadRequest, match=f"must be an id, not '{EVIL}'"):
        unpack(pack(encode(message), stamp(name, "n-1", 1))).message()


@pytest.mark.parametrize("verb", ["get_job", "executions", "history", "versions", "stop", "results", "node"])
async def test_a_client_does_not_ask_for_it(verb):
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(BadRequest, match=f"must be .*, not '{EVIL}'"):
            await asyncio.wait_for(getattr(client, verb)(EVIL), 20)
