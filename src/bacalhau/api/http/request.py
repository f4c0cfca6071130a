"""Tools of all handlers: the orchestrator behind a request, its body as a struct, the job it names, waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from bacalhau.api.http.answer import JSON
from bacalhau.api.http.errors import COMPONENT, OBJECT, READS_JOBS, refused
from bacalhau.border.names import require_name, require_start_of_id, shorten
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BacalhauError, BadRequest, Forbidden, Unavailable
from bacalhau.lib.wire import MAX_DEPTH, MAX_PROBLEMS, Model, convert_sound, decode, fold_keys, is_deep
from bacalhau.models.job.job import Job
from bacalhau.models.job.taken import taking_inputs
from bacalhau.models.job.validate import list_problems
from bacalhau.models.text.jobfile import with_auto_count
from bacalhau.models.wire.api import DiffJobRequest, ExplainJobRequest, PutJobRequest
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs.submit import job_problems

Ask = Request[Any, Any, State]

T = TypeVar("T", bound=Model)
J = TypeVar("J", PutJobRequest, DiffJobRequest, ExplainJobRequest)
R = TypeVar("R")

MAX_BODY = 64_000_000  # bytes; the largest job
BODY_SECONDS = 60.0
LARGE = 100_000  # bytes: a body that takes long enough to be felt by others
LARGE_BODIES = 16  # held at once
_PARSER = ThreadPoolExecutor(1, "parser")  # one large body at a time: what is made of it is many times its size
HEADERS = "bacalhau.headers"  # in a request's scope: all headers as they came, by their names in lower case
SLASH = "\ue000"  # stands for an escaped slash inside a path segment; see edge.py

# Keys that clients add to every body; they say nothing to this server.
_ENVELOPE_KEYS = frozenset({"namespace", "credential", "idempotencytoken"})


class NotJson(BacalhauError):
    code = "UnsupportedMediaType"
    status = 415


class TooSlow(BacalhauError):
    code = "TimeOut"
    status = 408


def _no_problems(body: object) -> list[str]:
    return []


def orchestrator(connection: ASGIConnection[Any, Any, Any, State]) -> Orchestrator:
    return cast(Orchestrator, connection.app.state.orchestrator)


def server_config(connection: ASGIConnection[Any, Any, Any, State]) -> Config:
    return cast(Config, connection.app.state.config)


def waits(connection: ASGIConnection[Any, Any, Any, State]) -> "Waits":
    return cast(Waits, connection.app.state.waits)


def named(segment: str) -> str:
    """A path segment as the client meant it: names may hold slashes."""
    return segment.replace(SLASH, "/")


def named_job(segment: str) -> str:
    """Return the id or name of a job in a path. Raises BadRequest for what can be neither."""
    return require_name(named(segment), "the job in the path")


def named_node(segment: str) -> str:
    """Return the id of a node in a path, or its beginning. Raises BadRequest for what can be none."""
    return require_start_of_id(named(segment), "the node in the path")


async def read_job_body(request: Ask, kind: type[J]) -> tuple[J, list[str]]:
    """Read a body with a job, as `read_body` does. Wrong fields are refused together with every problem of the job that
    the others make.
    """
    orch = orchestrator(request)

    def check(asked: J) -> list[str]:
        return job_problems(orch, asked.job) if asked.job else []

    asked, unknown = await parse_request(request, lambda text: parse_body(text, kind, check=check, respell=_respelled))
    _require_right_to_inputs(request, asked.job or Job())
    return asked, unknown


def _respelled(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a body with its job as job files may write it: the word auto may stand for a count."""
    return {
        key: with_auto_count(value) if key.lower() == "job" and isinstance(value, dict) else value
        for key, value in raw.items()
    }


def _require_right_to_inputs(request: Ask, job: Job) -> None:
    """Raise Forbidden for a job that takes the results of others, from a user who may not read those."""
    if not request.scope.get(READS_JOBS, True) and any(taking_inputs(job)):
        said = "inputs that are results of other jobs need the capability 'read:job', which this user does not have"
        raise Forbidden(said, component=COMPONENT)


async def read_body(request: Ask, kind: type[T], *, nulls: bool = False) -> tuple[T, list[str]]:
    """The request's body, see `parse_body`. Raises TooSlow when the client does not send it."""
    return await parse_request(request, lambda text: parse_body(text, kind, nulls=nulls))


def note_object(request: Ask, name: str) -> None:
    """Note the id of what a request made, for the audit log."""
    cast(dict[str, Any], request.scope)[OBJECT] = name


def header(request: Ask, name: bytes) -> str:
    """Return a header of a request, "" where it has none. The framework would make a map of all headers first."""
    headers: dict[bytes, bytes] = cast(Any, request.scope)[HEADERS]
    return headers.get(name, b"").decode("latin-1")


async def parse_request(request: Ask, parse: Callable[[bytes], R]) -> R:
    """Read the body and return what `parse` makes of it. Raises TooSlow; NotJson when the body calls itself something
    else; Unavailable while too many large bodies are on their way.
    """
    if (encoding := header(request, b"content-encoding") or "identity") != "identity":
        raise BadRequest(
            f"the body has Content-Encoding {encoding}, which is not read here",
            hint="send it as it is",
            component=COMPONENT,
        )
    _check_is_json(header(request, b"content-type"))
    async with waits(request).large_body() if _may_be_large(request) else nullcontext():
        try:
            async with asyncio.timeout(BODY_SECONDS):
                text = await _read_all(request)
        except TimeoutError as e:
            raise TooSlow(f"the body did not come within {BODY_SECONDS:g} s", component=COMPONENT) from e
        return (
            parse(text)
            if len(text) <= LARGE
            else await asyncio.get_running_loop().run_in_executor(_PARSER, parse, text)
        )


def _check_is_json(content_type: str) -> None:
    """Raise NotJson for a body of another type: browsers send text and forms of any page without asking the server."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("", JSON):
        raise NotJson(
            f"the body has Content-Type {shorten(kind)!r}, but only {JSON} is read here",
            hint=f"send the header Content-Type: {JSON}",
            component=COMPONENT,
        )


def _may_be_large(request: Ask) -> bool:
    return bool(header(request, b"transfer-encoding")) or _announced(request) > LARGE


def _announced(request: Ask) -> int:
    """Return the length in bytes that a request announces, 0 where it announces none. More zeros may stand before it
    than Python reads in a number.
    """
    return int(header(request, b"content-length").lstrip("0") or 0)


async def _read_all(request: Ask) -> bytes:
    """Read the body as it comes. Raises RequestEntityTooLarge as soon as it is, or says that it will be, too large."""
    pieces, size, is_whole = [], 0, False
    if _announced(request) > MAX_BODY:
        raise RequestEntityTooLarge
    while not is_whole:
        event = await request.receive()
        if event["type"] != "http.request":
            raise InternalServerException("the client went away before the end of its body")
        pieces.append(event["body"])
        size += len(event["body"])
        if size > MAX_BODY:
            raise RequestEntityTooLarge
        is_whole = not event["more_body"]
    return b"".join(pieces)


def parse_body(
    text: bytes,
    kind: type[T],
    *,
    nulls: bool = False,
    check: Callable[[T], list[str]] = _no_problems,
    respell: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> tuple[T, list[str]]:
    """The JSON body (none: all defaults), keys in any case, and the paths of unknown keys. Raises BadRequest.

    `nulls`: they mean something, and the fields of `kind` take them. `check` finds what else is to be told of a body
    with wrong fields; `respell` rewrites the object before it is read.
    """
    try:
        raw: Any = decode(text, Any) if text.strip() else {}
    except msgspec.DecodeError as e:
        raise refused(f"the body is not valid JSON: {e}") from e
    if not isinstance(raw, dict):
        raise refused("the body must be a JSON object")
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and is_deep(raw):
        raise refused(f"the body is nested deeper than {MAX_DEPTH} levels")
    if b"null" in text and not nulls:
        raw = _without_nulls(raw)
    folded, unknown = fold_keys(respell(raw), kind)
    found, wrong = convert_sound(folded, kind)
    if wrong or found is None:
        raise refused(*list_problems(wrong, check(found) if found else ()))
    return found, [path for path in unknown if path.lower() not in _ENVELOPE_KEYS]


def ignored(unknown: list[str]) -> tuple[str, ...]:
    """Warnings about keys that say nothing to this server."""
    told = [f"unknown field '{path}' is ignored" for path in unknown[:MAX_PROBLEMS]]
    return (
        (*told, f"{len(unknown) - MAX_PROBLEMS} more unknown fields are ignored")
        if len(unknown) > MAX_PROBLEMS
        else tuple(told)
    )


def _without_nulls(value: Any) -> Any:
    """A key with null is a key left out, but for the free-form parameters of plug-ins."""
    if isinstance(value, dict):
        return {k: v if k.lower() == "params" else _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class Waits:
    """Answers that take their time, so that a server that stops can give them at once, and large bodies, so that there
    is room for them.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._over = False
        self._large = asyncio.Semaphore(LARGE_BODIES)

    @asynccontextmanager
    async def large_body(self) -> AsyncIterator[None]:
        """Room in memory for one, as long as the block runs. Raises Unavailable."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await self._large.acquire()
        except TimeoutError as e:
            raise Unavailable(
                f"{LARGE_BODIES} other large requests are being read", hint="send it again later", component=COMPONENT
            ) from e
        try:
            yield
        finally:
            self._large.release()

    async def wait(self, seconds: float, work: Coroutine[Any, Any, R]) -> R:
        """Wait for `work`. Raises TimeoutError after `seconds`, or when the server stops."""
        async with asyncio.timeout(0 if self._over else seconds) as limit:
            self._open.add(limit)
            try:
                return await work
            finally:
                self._open.discard(limit)

    @property
    def over(self) -> bool:
        """The server stops."""
        return self._over

    def end(self) -> None:
        self._over = True
        for limit in self._open:
            limit.reschedule(0)
