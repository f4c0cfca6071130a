"""The audit log: one line of JSON for each request that changes something, whoever sent it and whatever came of it.

It stands before the guard and all handlers, so no route can be forgotten: what is written down is decided by the same
rule by which the guard tells reading from writing. Bodies, headers and queries may hold secrets: they are not written.
"""

import logging
from pathlib import Path
from typing import Any

from bacalhau.api.access.guard import is_open, needed_action
from bacalhau.api.http.edge import ASGIApp, Message, Receive, Scope, Send
from bacalhau.api.http.errors import CALLER, OBJECT, REQUEST_ID
from bacalhau.api.http.request import SLASH
from bacalhau.border.names import shorten
from bacalhau.config.schema import Config
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.rotated import RotatedFile
from bacalhau.lib.units import parse_bytes
from bacalhau.lib.wire import Model, always, encode

FILE = ("audit", "audit.jsonl")
LONGEST = 300  # characters of a path
log = logging.getLogger(__name__)


class AuditEntry(Model):
    """`user` is empty where nobody had to show who they are, or could not. `object` is the id of what was made.
    `outcome` is the status of the answer, 0 where the client went away before it.
    """

    time: str = always(factory=str)
    request_id: str = always(factory=str)
    user: str = always(factory=str)
    address: str = always(factory=str)
    verb: str = always(factory=str)
    path: str = always(factory=str)
    object: str = ""
    outcome: int = always(factory=int)


class Audit:
    """An ASGI layer around everything that may change something."""

    def __init__(self, app: ASGIApp, file: RotatedFile) -> None:
        self._app, self._file = app, file
        self._trouble = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope.get("method", "GET")
        if is_open(path) or not needed_action(method, path).startswith("write:"):
            await self._app(scope, receive, send)
            return
        outcome = 0

        async def send_and_note(message: Message) -> None:
            nonlocal outcome
            outcome = message.get("status", outcome)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._write(scope, outcome)

    def _write(self, scope: Scope, outcome: int) -> None:
        entry = AuditEntry(
            time=rfc3339(now_ns()),
            request_id=str(scope.get(REQUEST_ID, "")),
            user=str(scope.get(CALLER, "")),
            address=_address(scope.get("client")),
            verb=scope["method"],
            path=shorten(scope["path"].replace(SLASH, "%2F"), LONGEST),
            object=str(scope.get(OBJECT, "")),
            outcome=outcome,
        )
        try:
            self._file.append(encode(entry) + b"\n")
            self._trouble = ""
        except OSError as e:
            if str(e) != self._trouble:
                log.error("the audit log is not written: %s", e)
            self._trouble = str(e)


def _address(client: Any) -> str:
    return str(client[0]) if client else ""


def open_audit(config: Config) -> RotatedFile | None:
    """Open the audit log in the data directory; None where it is off. Raises BadRequest for a size that is none."""
    wanted = config.logging.audit
    if not wanted.enabled:
        return None
    try:
        most = parse_bytes(wanted.max_size)
    except ValueError as e:
        key = "Logging.Audit.MaxSize"
        raise BadRequest(f"{key}: {wanted.max_size!r} is not an amount of bytes", hint="write it as 64Mb") from e
    return RotatedFile(Path(config.data_dir, *FILE), most, wanted.max_files)
