"""The log socket: one text frame a piece of output, errors as one frame, and always a normal close."""

import re
from contextlib import aclosing
from typing import Any

import msgspec
from litestar import Response, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import go_json
from bacalhau.api.http.request import named_job, orchestrator
from bacalhau.api.v1.query import ReadLogs, read_query
from bacalhau.border.names import require_start_of_id
from bacalhau.lib.aio import background
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model, always
from bacalhau.orchestrator.logs.read import LogSelection, read_log
from bacalhau.ports.logs import Offsets

_OFFSET = re.compile(r"[0-9]{1,18}")

Socket = WebSocket[Any, Any, State]


class LogLine(Model):
    """`type` 1 is stdout, 2 stderr."""

    type: int = always(factory=int)
    line: str = always(factory=str)


class LogFrame(Model):
    """`execution` and `position` are there where the reader asked for them."""

    error: str = msgspec.field(default="", name="error")
    value: LogLine = msgspec.field(default_factory=LogLine, name="value")
    execution: str = ""
    position: str = ""


class Left(Exception):
    """The client went away."""


@websocket("/jobs/{job_id:str}/logs")
async def read_logs(socket: Socket, job_id: FromPath[str]) -> None:
    await socket.accept()
    try:
        async with background(until_left(socket)):
            await _pump(socket, job_id)
            await socket.close(1000)
    except* (Left, WebSocketDisconnect):
        pass


async def _pump(socket: Socket, job_id: str) -> None:
    try:
        query = read_query(socket.scope["query_string"], ReadLogs)
        async with aclosing(read_log(orchestrator(socket), _selection(named_job(job_id), query))) as texts:
            async for text in texts:
                frame = LogFrame(value=LogLine(type=text.stream, line=text.text))
                if query.positions:
                    frame = msgspec.structs.replace(
                        frame, execution=text.execution_id, position=f"{text.end.stdout}.{text.end.stderr}"
                    )
                await _send(socket, frame)
    except BacalhauError as e:
        await _send(socket, LogFrame(error=e.message))


def _selection(job_id: str, query: ReadLogs) -> LogSelection:
    return LogSelection(
        job=job_id,
        namespace=query.namespace,
        execution_id=query.execution_id,
        tail=query.tail,
        follow=query.follow,
        lines=-1 if query.tail_lines is None else query.tail_lines,
        is_wide=query.wide,
        is_all=query.all,
        after=dict(map(_place, query.after)),
    )


def _place(text: str) -> tuple[str, Offsets]:
    """Read a place in an execution's log. Raises BadRequest."""
    execution_id, _, position = text.partition(":")
    stdout, _, stderr = position.partition(".")
    if not (execution_id and _OFFSET.fullmatch(stdout) and _OFFSET.fullmatch(stderr)):
        raise BadRequest(f"query parameter 'after' must be EXECUTION:POSITION as it came in a frame, not '{text}'")
    return require_start_of_id(execution_id, "the execution of query parameter 'after'"), Offsets(
        int(stdout), int(stderr)
    )


async def _send(socket: Socket, frame: LogFrame) -> None:
    await socket.send_data(go_json(frame).decode(), mode="text")


async def until_left(socket: Socket) -> None:
    # Output may be silent for hours: only listening tells that nobody reads any more.
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Left


@get("/jobs/{job_id:str}/logs", include_in_schema=False)
async def refuse_plain_logs(job_id: FromPath[str]) -> Response[str]:
    """Logs are a WebSocket."""
    return Response("Bad Request", status_code=400, media_type="text/plain")


LOG_ROUTES: list[ControllerRouterHandler] = [read_logs, refuse_plain_logs]
