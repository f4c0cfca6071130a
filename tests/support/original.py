"""A server that knows only what the original knows: it answers with recordings, refuses what they do not have as the
original does, and keeps what it was asked, so that a test can see whether a request would have been understood.

Queries that the original ignores are ignored: a client that depends on waiting requests or progress does not get far
here.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from tests.support.scripted_api import answer, scripted_api

# What the original's requests may hold, by the reference of its API.
QUERIES = set(
    [
        "namespace",
        "limit",
        "next_token",
        "order_by",
        "reverse",
        "labels",
        "include",
        "job_version",
        "all_job_versions",
        "event_type",
        "execution_id",
        "since",
        "tail",
        "follow",
        "reason",
        "idempotency_token",
    ]
) | {"filter-approval", "filter-status"}
JOB = set(
    [
        "ID",
        "Name",
        "Namespace",
        "Type",
        "Priority",
        "Count",
        "Constraints",
        "Meta",
        "Labels",
        "Tasks",
        "State",
        "Version",
        "Revision",
        "CreateTime",
        "ModifyTime",
    ]
)
TASK = set(
    ["Name", "Engine", "Publisher", "Env", "Meta", "InputSources", "ResultPaths", "Resources", "Network", "Timeouts"]
)
BODIES = {
    "orchestrator/jobs": {"Job", "Force", "IdempotencyToken"},
    "jobs/diff": {"Job"},
    "rerun": {"JobVersion", "Reason"},
    "nodes": {"Action", "Message", "NodeID"},
}
RECORDED = "j-14579dfe-0144-476d-8a22-88f1b17ec00b"
LOGS = (1, "out\n"), (2, "err\n")


class Original:
    """`asked` are (method, path, query, body); `strange` are requests the original would not understand."""

    def __init__(self, recordings: Path) -> None:
        self.cases = {case["name"]: case for case in map(json.loads, recordings.read_text().splitlines())}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.strange: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/api/v1/")
        if path.endswith("/logs"):
            return await self._logs(request)
        text = await request.text()
        body = json.loads(text) if text else None
        self.asked.append((request.method, path, dict(request.query), body))
        self._judge(request.method, path, body)
        return self._answer(request.method, path, dict(request.query))

    def _judge(self, method: str, path: str, body: Any) -> None:
        if method == "PUT":
            known = next((keys for end, keys in BODIES.items() if path.endswith(end) or f"/{end}/" in path), set())
            self.strange += [f"{method} {path}: {key}" for key in body.keys() - known]
            job = body.get("Job") or {}
            self.strange += [f"Job: {key}" for key in job.keys() - JOB]
            self.strange += [f"Task: {key}" for task in job.get("Tasks", []) for key in task.keys() - TASK]

    def _answer(self, method: str, path: str, query: dict[str, str]) -> web.Response:
        if path == "agent/alive":
            return answer({"Status": "OK"})
        if path == "orchestrator/nodes":
            return answer({"NextToken": "", "Nodes": self.cases["api-debug"]["response"]["DiscoveredNodes"]})
        if path == "orchestrator/jobs" and method == "GET":
            return answer(self.cases["api-jobs-ns"]["response"])
        found = self._recording(method, path, query)
        case = found or self.cases["api-notfound"]
        return answer(case["response"], case["status"])

    def _recording(self, method: str, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The recording of this path whose query agrees best; a job that was submitted here behaves as the recorded
        one.
        """
        submitted = self.cases["put"]["response"]["JobID"]
        known = {key: value for key, value in query.items() if key in QUERIES}
        best = None
        for case in self.cases.values():
            where, _, given = case["path"].removeprefix("/api/v1/").partition("?")
            if case["method"] == method and where == path.replace(submitted, RECORDED):
                if dict(parse_qsl(given)) == known:
                    return case
                best = best or (case if not given or method != "GET" else None)
        return best

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        """Frames as the original sends them, the error key always there."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        known = RECORDED in request.path or self.cases["put"]["response"]["JobID"] in request.path
        frames = (
            [{"value": {"Type": kind, "Line": line}, "error": ""} for kind, line in LOGS]
            if known
            else [{"value": None, "error": "job not found: j-nope"}]
        )
        for frame in frames:
            await socket.send_str(json.dumps(frame))
        await socket.close()
        async for message in socket:
            assert message.type != WSMsgType.ERROR
        return socket


@asynccontextmanager
async def original_server(recordings: Path) -> AsyncIterator[tuple[str, Original]]:
    """Its URL, and what it saw."""
    server = Original(recordings)
    async with scripted_api(server.handle) as url:
        yield url, server
