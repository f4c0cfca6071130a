"""Failures as the older generation's clients read them: JSON of `{Code, Message, Details, Err}` that calls itself plain
text.
"""

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from bacalhau.api.http.errors import shortened
from bacalhau.lib.errors import BacalhauError, Conflict, NotFound
from bacalhau.models.seed.api import SeedError

log = logging.getLogger(__name__)

_UNKNOWN = "error-unknown-server-error"
_PLAIN = "text/plain"  # the framework adds the character set


class MissingJob(NotFound):
    def __init__(self, job_id: str, status: int = 404) -> None:
        super().__init__(f"Job not found. ID: {job_id}")
        self.job_id, self.answer_status = job_id, status


class AmbiguousJob(Conflict):
    """A short id that several jobs have."""


def seed_error(error: BacalhauError) -> SeedError:
    details = {"hint": error.hint} if error.hint else {}
    code = _UNKNOWN
    if isinstance(error, MissingJob):
        code, details = "error-job-not-found", {"id": error.job_id}
    elif isinstance(error, AmbiguousJob):
        code = "duplicate-job-found"
    message = shortened(error.message)
    return SeedError(code=code, message=message, details=details, err=message)


def on_expected(request: Request[Any, Any, Any], error: BacalhauError) -> Response[bytes]:
    return _answer(seed_error(error), error.answer_status if isinstance(error, MissingJob) else error.status)


def on_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Unknown paths; the words are those of that generation's framework."""
    text = "Not Found" if error.status_code == 404 else error.detail
    body = {"error": f"code={error.status_code}, message={text}", "message": text}
    return Response(msgspec.json.encode(body) + b"\n", status_code=error.status_code, media_type=_PLAIN)


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(SeedError(code=_UNKNOWN, message="Internal server error", err="Internal server error"), 500)


def _answer(body: SeedError, status: int) -> Response[bytes]:
    return Response(
        msgspec.json.encode(body) + b"\n",
        status_code=status,
        media_type=_PLAIN,
        headers={"X-Content-Type-Options": "nosniff"},
    )
