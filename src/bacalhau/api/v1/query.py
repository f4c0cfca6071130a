"""Query parameters as frozen structs: each route says once what it reads, for the handler and for the OpenAPI document.

Names are matched in any case, `-` or `_`; an empty value means "not given"; unknown names are ignored; all problems
are told at once.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from bacalhau.api.http.errors import refused
from bacalhau.border.names import ID_WORDS, NAME_WORDS, is_name, shorten, starts_identifier
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.selector import parse_selector

_TRUTHS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)

MOST_SHOWN = 1000  # nodes of one explanation, executions of one account
Limit = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Shown = Annotated[int, msgspec.Meta(ge=0, le=MOST_SHOWN)]
Wait = Annotated[int, msgspec.Meta(ge=0, le=60)]
Since = Annotated[int, msgspec.Meta(ge=0, le=2**33)]
EventType = Literal["all", "job", "execution"]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


Name = Annotated[str, msgspec.Meta(extra={"is": is_name, "words": NAME_WORDS})]
StartOfId = Annotated[str, msgspec.Meta(extra={"is": starts_identifier, "words": ID_WORDS})]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """The parameter that every route reads."""

    namespace: Name = ""


class ListQuery(Query, frozen=True, kw_only=True):
    """`limit` 0 is no limit."""

    limit: Limit = 0
    next_token: str = ""
    reverse: bool = False


class ShowActivity(Query, frozen=True, kw_only=True):
    """`limit`: how many executions are listed, 0 is 100."""

    limit: Shown = 0


class ListCache(Query, frozen=True, kw_only=True):
    """`limit` 0 is as many as a page has."""

    limit: Limit = 0
    next_token: str = ""


class ListJobs(ListQuery, frozen=True, kw_only=True):
    order_by: Literal["created_at", "modified_at", "id"] | None = None
    labels: tuple[str, ...] = ()


class GetJob(Query, frozen=True, kw_only=True):
    """`include` is a comma list of history and executions; `job_version` 0 is the latest; `wait` in seconds, until the
    job has ended.
    """

    include: str = ""
    job_version: Number = 0
    wait: Wait = 0


class LineageOfJob(Query, frozen=True, kw_only=True):
    """`job_version` 0 is the latest."""

    job_version: Number = 0


class ExplainJob(Query, frozen=True, kw_only=True):
    """`limit`: how many nodes and places are listed, 0 is 100."""

    limit: Shown = 0
    next_token: str = ""


class PutJob(Query, frozen=True, kw_only=True):
    """`idempotency_token` is the client's own: the same request with the same one makes no second job."""

    idempotency_token: str = ""


class StopJob(Query, frozen=True, kw_only=True):
    reason: str = ""


class ListHistory(ListQuery, frozen=True, kw_only=True):
    """`since` in Unix seconds; `wait` in seconds, until there is something new; `progress` is the last ProgressSeq
    seen.
    """

    event_type: EventType = "all"
    execution_id: StartOfId = ""
    job_version: Number = 0
    all_job_versions: bool = False
    since: Since = 0
    wait: Wait = 0
    progress: Number = 0


class FollowEvents(Query, frozen=True, kw_only=True):
    """`job` alone instead of all; `since` in Unix seconds, else a job is told from its beginning and all jobs from now
    on.

    `last_event_id` is for clients that cannot set the header of that name.
    """

    job: Name = ""
    event_type: EventType = "all"
    since: Since = 0
    last_event_id: str = ""


class FollowJob(Query, frozen=True, kw_only=True):
    event_type: EventType = "all"
    since: Since = 0
    last_event_id: str = ""


class ListExecutions(ListQuery, frozen=True, kw_only=True):
    order_by: Literal["created_at", "create_time", "modified_at", "modify_time", "id", "state"] | None = None
    job_version: Number = 0
    all_job_versions: bool = False


class ReadProvenance(Query, frozen=True, kw_only=True):
    """`execution_id` (or its beginning) alone instead of all; `job_version` 0 is the latest. `page` (from 1) is one
    page of the files that one execution published. `format` intoto: one in-toto statement an execution, as JSON Lines.
    """

    execution_id: StartOfId = ""
    job_version: Number = 0
    page: Number = 0
    format: Literal["intoto"] | None = None


class ReadLogs(Query, frozen=True, kw_only=True):
    """`tail`: only what is written from now on; `follow`: until the job ends, over executions that replace each other.

    Of this make: `tail_lines`, only so many of the last lines, -1 all; `wide`, the current execution of every
    partition, or node, at once; `all`, every execution; `positions` puts Execution and Position into each frame, and
    `after` (EXECUTION:POSITION, repeated) goes on there.
    """

    execution_id: StartOfId = ""
    tail: bool = False
    follow: bool = False
    tail_lines: Number | None = None
    wide: bool = False
    all: bool = False
    positions: bool = False
    after: tuple[str, ...] = ()


class ListNodes(ListQuery, frozen=True, kw_only=True):
    order_by: Literal[
        "id", "type", "available_cpu", "available_memory", "available_disk", "available_gpu", "approval", "status"
    ] = "id"
    labels: tuple[str, ...] = ()
    filter_approval: Literal["PENDING", "APPROVED", "REJECTED"] | None = msgspec.field(
        default=None, name="filter-approval"
    )
    filter_status: Literal["CONNECTED", "DISCONNECTED"] | None = msgspec.field(default=None, name="filter-status")


T = TypeVar("T", bound=Query)


class _Field(NamedTuple):
    """`read` raises ValueError; `words` say what it would have taken."""

    attribute: str
    name: str
    read: Callable[[str], Any]
    words: str
    many: bool


def read_query(query_string: bytes, kind: type[T]) -> T:
    """Read a query string. Raises BadRequest naming every parameter that cannot be read."""
    if not query_string:
        return kind()
    known = _fields(kind)
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in parse_qsl(query_string.decode("latin-1"), errors="replace"):
        field = known.get(name.lower().replace("-", "_"))
        if field is None:
            continue
        try:
            value = field.read(text)
        except ValueError:
            problems.append(f"query parameter '{field.name}' must be {field.words}, not {shorten(text)!r}")
            continue
        if field.many:
            found[field.attribute] = (*found.get(field.attribute, ()), value)
        else:
            found.setdefault(field.attribute, value)
    if problems:
        raise refused(*problems)
    return kind(**found)


def read_labels(labels: tuple[str, ...]) -> tuple[LabelSelectorRequirement, ...]:
    """The selector that all `labels` parameters make together. Raises BadRequest."""
    try:
        return parse_selector(",".join(labels))
    except BadRequest as e:
        raise refused(f"query parameter 'labels': {e.message}") from e


_known: dict[type[Query], dict[str, _Field]] = {}


def _fields(kind: type[Query]) -> dict[str, _Field]:
    if kind not in _known:
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        _known[kind] = {f.encode_name.lower().replace("-", "_"): _field(f) for f in info.fields}
    return _known[kind]


def _field(field: msgspec.inspect.Field) -> _Field:
    kind, many = field.type, False
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.VarTupleType):
        kind, many = kind.item_type, True
    read, words = _reader(kind)
    return _Field(field.name, field.encode_name, read, words, many)


def _reader(kind: msgspec.inspect.Type) -> tuple[Callable[[str], Any], str]:
    if isinstance(kind, msgspec.inspect.Metadata) and kind.extra:
        return _text_that(kind.extra["is"]), kind.extra["words"]
    if isinstance(kind, msgspec.inspect.IntType):
        return _whole_number(kind.ge or 0, kind.le or 0), f"a whole number from {kind.ge} to {kind.le}"
    if isinstance(kind, msgspec.inspect.BoolType):
        return _truth, "true or false"
    if isinstance(kind, msgspec.inspect.LiteralType):
        options = [str(v) for v in kind.values]
        return _choice(options), "one of " + ", ".join(options)
    return str, "text"


def _whole_number(least: int, largest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not least <= value <= largest:
            raise ValueError(text)
        return value

    return read


def _text_that(is_good: Callable[[str], bool]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text and not is_good(text):
            raise ValueError(text)
        return text

    return read


def _truth(text: str) -> bool:
    if text not in _TRUTHS:
        raise ValueError(text)
    return _TRUTHS[text]


def _choice(options: list[str]) -> Callable[[str], str]:
    by_lower = {option.lower(): option for option in options}

    def read(text: str) -> str:
        if text.lower() not in by_lower:
            raise ValueError(text)
        return by_lower[text.lower()]

    return read
