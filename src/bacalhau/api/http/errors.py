"""The one place where a failure becomes an answer: `{Status, Message, RequestID, Code, Component, Hint?, Details?}`.

Texts belong to whoever raised; here only the envelope is made, and what nobody expected is logged.
"""

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from bacalhau.api.http.answer import JSON, go_json
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.models.wire.api import ErrorBody

log = logging.getLogger(__name__)

COMPONENT = "APIServer"
MAX_MESSAGE = 16_000  # characters
REQUEST_ID = "bacalhau.request_id"  # key of the ASGI scope
CALLER = "bacalhau.caller"  # in the scope: the name of the user; not there where there are no users
OBJECT = "bacalhau.object"  # in the scope: the id of what the request made
READS_JOBS = "bacalhau.reads-jobs"  # in the scope: whether the user may read jobs; not there where there are no users

NO_SUCH_PLACE = ErrorBody(
    status=404,
    message="The requested resource/URL was not found.",
    code="NotFound",
    component=COMPONENT,
    hint="The server version may be older than this CLI version and does not support the endpoint yet.",
    details={
        "cli_usage": (
            "If you are using the CLI, try updating your server to a newer version or check if the command is supported"
            " in your server version."
        )
    },
)
_ONLY_JOBS = (
    "ask the API of the orchestrator, for instance with --api-host HOST --api-port PORT or a profile (`bacalhau profile"
    " save`); the node joins it at {}"
)
_PHRASES = {405: "Method Not Allowed", 413: "Request Entity Too Large"}


def refused(*problems: str) -> BadRequest:
    """The request itself is wrong; every problem in words."""
    return BadRequest(problems, component=COMPONENT)


def only_runs_jobs(node_id: str, orchestrators: str) -> ErrorBody:
    """Make the answer of a node without an orchestrator to paths that only an orchestrator serves."""
    return ErrorBody(
        status=404,
        message=f"node {node_id} only runs jobs: its API tells of this node alone",
        code="NotFound",
        component=COMPONENT,
        hint=_ONLY_JOBS.format(orchestrators),
    )


def envelope(error: BacalhauError) -> ErrorBody:
    """Make the body of an error's answer, still without the request's id."""
    # Clients know what the server's own door refuses by this pair of code and component.
    at_the_door = error.component == COMPONENT and error.status == 400
    code = "InternalError" if at_the_door else error.code
    return ErrorBody(
        status=error.status,
        message=shortened(without_credentials(error.message)),
        code=code,
        component=error.component,
        hint=without_credentials(error.hint),
    )


def shortened(text: str) -> str:
    """Cut a text that nobody reads to its end, and say how much is missing."""
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…\n({len(text) - MAX_MESSAGE} more characters)"


def on_expected(request: Request[Any, Any, Any], error: BacalhauError) -> Response[bytes]:
    return _answer(request, envelope(error))


def on_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Unknown paths, wrong methods, bodies that are too large."""
    if error.status_code == 404:
        return _answer(request, request.app.state.absent)
    message = _PHRASES.get(error.status_code, error.detail)
    body = ErrorBody(status=error.status_code, message=message, code="InternalError", component=COMPONENT)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if allowed := headers.get("allow"):
        headers["allow"] = ", ".join(sorted(set(allowed.split(", ")) - {"websocket"}))
    return _answer(request, body, headers)


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("%s %s failed (request %s)", request.method, request.url.path, _request_id(request), exc_info=error)
    return _answer(
        request, ErrorBody(status=500, message="Internal server error", code="InternalError", component="Unknown")
    )


def _answer(request: Request[Any, Any, Any], body: ErrorBody, headers: dict[str, str] | None = None) -> Response[bytes]:
    named = msgspec.structs.replace(body, request_id=_request_id(request))
    return Response(go_json(named), status_code=body.status, media_type=JSON, headers=headers)


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope.get(REQUEST_ID, ""))
