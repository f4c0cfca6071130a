"""The older generation's sockets: logs, asked for by a signed first message, and the events of a job as they happen."""

import asyncio
from typing import Any

from litestar import websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import go_json
from bacalhau.api.http.request import orchestrator
from bacalhau.api.seed.envelope import open_envelope
from bacalhau.api.seed.errors import seed_error
from bacalhau.api.seed.jobs import find_job, history_of
from bacalhau.api.v1.logs import Left, Socket, until_left
from bacalhau.border.names import require_start_of_id
from bacalhau.lib.aio import background
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.seed.api import LogMessage, LogsPayload
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.logs.read import stream_logs

WAIT_SECONDS = 60
FIRST_SECONDS = 20.0  # until the client has said which job it asks for


@websocket("/logs")
async def read_logs(socket: Socket) -> None:
    """The client's first message says which job."""
    await socket.accept()
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            first = await socket.receive_data(mode="text")
        async with background(until_left(socket)):
            await _pump(socket, first)
            await socket.close(1000)
    except* (Left, WebSocketDisconnect):
        pass
    except* TimeoutError:
        await socket.close(1008, f"no request came within {FIRST_SECONDS:g} s")


async def _pump(socket: Socket, first: str | bytes) -> None:
    try:
        asked = open_envelope(first, LogsPayload)
        job = await find_job(orchestrator(socket), asked.job_id)
        if asked.execution_id:
            require_start_of_id(asked.execution_id, "execution_id")
        only_new = asked.follow and not asked.with_history
        lines = stream_logs(
            orchestrator(socket), job.id, execution_id=asked.execution_id, tail=only_new, follow=asked.follow
        )
        async for stream, text in lines:
            await _send(socket, LogMessage(tag=stream, data=text))
    except BacalhauError as e:
        await _send(socket, LogMessage(error_message=go_json(seed_error(e)).decode().strip()))


@websocket("/websocket/events")
async def follow_events(socket: Socket) -> None:
    """The events of `?job_id=` so far, then each when it happens, until the job has ended."""
    await socket.accept()
    try:
        async with background(until_left(socket)):
            await _follow(socket, socket.query_params.get("job_id", ""))
            await socket.close(1000)
    except* (Left, WebSocketDisconnect):
        pass


async def _follow(socket: Socket, job_id: str) -> None:
    orch: Orchestrator = orchestrator(socket)
    try:
        job = await find_job(orch, job_id)
    except BacalhauError as e:
        await _send(socket, seed_error(e))
        return
    sent = 0
    with orch.board.watch(job.id) as watch:
        while True:
            watch.clear()
            job = await find_job(orch, job.id)
            events = await history_of(orch, job)
            for event in events[sent:]:
                await _send(socket, event)
            sent = len(events)
            if job.is_done:
                return
            await watch.wait(WAIT_SECONDS)


async def _send(socket: Socket, message: Any) -> None:
    await socket.send_data(go_json(message).decode(), mode="text")


SEED_LOG_ROUTES: list[ControllerRouterHandler] = [read_logs, follow_events]
