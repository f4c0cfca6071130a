"""The small languages of flags: CSV records, outputs, environment, labels, networks and domains.

Inputs have `input_grammar`, publishers `publisher_grammar`, constraints `selector`. A BadRequest's message is the
reason alone; whoever read the flag names the flag.
"""

import csv
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import ResultPath
from bacalhau.models.job.label import label_problem
from bacalhau.models.job.network import NetworkType
from bacalhau.models.job.selection import Selection, option_name
from bacalhau.models.job.spec import SpecConfig

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Options(dict[str, str]):
    """The options of a URI by their names. One that is given several times has its last value here, and all of them in
    `given`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, list[str]] = {}

    def add(self, name: str, value: str) -> None:
        self[name] = value
        self.given.setdefault(name, []).append(value)


ReadUri = Callable[[str, dict[str, str]], SpecConfig]
"""Read a URI and its options, which are `Options`, as a spec. Raises BadRequest."""


class Uris(NamedTuple):
    """The URI schemes that a flag knows: `find` returns a scheme's reader, `forms` the examples for error messages."""

    find: Callable[[str], ReadUri | None]
    forms: Callable[[], Sequence[str]]


class Field(NamedTuple):
    """One field of a flag's record; `key` is lower-case, "" for the URI that stands without a key."""

    key: str
    value: str
    text: str


def split_csv(text: str) -> list[str]:
    """One CSV record (RFC 4180 quoting). Raises BadRequest."""
    try:
        record: list[str] = next(csv.reader([text], strict=True), [])
    except csv.Error as e:
        raise BadRequest(
            f"cannot read {text!r} as comma-separated values: {e}",
            hint='put "..." around a value that has commas or quotes',
        ) from e
    return record


def split_fields(text: str, what: str) -> list[Field]:
    """The record as keys and values.

    The first field is a URI when it has no `=` or begins with `scheme://`; `what` is for messages.
    """
    record = split_csv(text.strip())
    if not record:
        raise BadRequest(f"{what} is empty")
    return [_field(raw, first=index == 0, what=what) for index, raw in enumerate(record)]


def _field(raw: str, *, first: bool, what: str) -> Field:
    key, equals, value = raw.partition("=")
    if first and (not equals or _SCHEME.match(raw.lstrip())):
        return Field("", raw, raw)
    if not equals:
        raise BadRequest(f"invalid {what} option: {raw}. Must be a key=value pair")
    return Field(key.strip().lower(), value, raw)


def scheme_of(uri: str) -> str:
    """`S3://b/k` → `s3`; "" when there is none."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def host_and_path(uri: str) -> tuple[str, str]:
    """Split what follows `scheme://`: the host as written, and the decoded path from its first slash. Raises
    BadRequest.
    """
    rest = uri.partition("://")[2]
    cut = re.search(r"[?#]", rest)
    if cut:
        raise BadRequest(
            f"{uri} has a {cut[0]!r}, which would end the path",
            hint=f"write %{ord(cut[0]):X} for a {cut[0]!r} that belongs to the name",
        )
    if _BAD_ESCAPE.search(rest):
        raise BadRequest(
            f"{uri} has a % that is not followed by two hexadecimal digits",
            hint="write %25 for a % that belongs to the name",
        )
    host, slash, path = rest.partition("/")
    return unquote(host), slash + unquote(path)


def refuse_options(options: Iterable[str], allowed: Collection[str], owner: str) -> None:
    """Raise BadRequest for an option that `owner`, such as `storage s3`, does not have."""
    for name in options:
        if name not in allowed:
            cure = f"options are {', '.join(allowed)}" if allowed else f"{owner} has no options"
            raise BadRequest(f'unknown option "{name}" for {owner}', hint=cure)


SELECTION_OPTIONS = tuple(map(option_name, Selection.__struct_fields__))


def read_selection(options: dict[str, str]) -> dict[str, Any]:
    """Read the options that choose objects of a source, as parameters: `include` and `exclude` may come several times.
    Values are left to the check of the parameters.
    """
    given = options.given if isinstance(options, Options) else {name: [text] for name, text in options.items()}
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(Selection):
        if texts := given.get(option_name(field.name)):
            found[field.encode_name] = texts if field.type is not str else texts[-1]
    return found


def listed(forms: Sequence[str], word: str) -> str:
    """Join examples as `a, b and c`, where `word` is `and`."""
    return f" {word} ".join(filter(None, (", ".join(forms[:-1]), *forms[-1:])))


def parse_output(text: str) -> ResultPath:
    """`name:/path`. Raises BadRequest."""
    parts = text.split(":")
    if len(parts) != 2 or not all(parts):
        raise BadRequest(f"invalid output volume: {text}", hint="write NAME:/PATH, such as outputs:/outputs")
    name, path = parts
    if not path.startswith("/"):
        raise BadRequest(
            f"invalid output volume: {text}: result path `{path}` must be absolute", hint=f"write {name}:/{path}"
        )
    return ResultPath(name=name, path=path)


def parse_env(text: str) -> dict[str, str]:
    """`A=x`, or several as one record `A=x,B=y`; a text with a single `=` is one pair, commas and all.

    Raises BadRequest.
    """
    pairs = [text.strip('"')] if text.count("=") == 1 else split_csv(text)
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadRequest(f"{pair} must be formatted as key=value")
        found[key] = value
    return found


def parse_label(text: str) -> dict[str, str]:
    """`key[=value]`, or several as one record; both parts follow the rules of Kubernetes labels. Raises BadRequest."""
    found: dict[str, str] = {}
    for pair in split_csv(text):
        key, _, value = pair.partition("=")
        problem = label_problem(key, value)
        if problem:
            raise BadRequest(f"received invalid job labels: {problem}")
        found[key] = value
    return found


def parse_network(text: str) -> NetworkType:
    """Any case. Raises BadRequest."""
    kind = NetworkType.parse(text) if text.strip() else None
    if kind is None:
        raise BadRequest(f"models.Network: unknown type '{text}'", hint=f"use one of {', '.join(NetworkType)}")
    return kind


def parse_bool(text: str, what: str) -> bool:
    """Go's words for true and false. Raises BadRequest naming `what`."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise BadRequest(f"failed to parse {what} option: {text!r} is neither true nor false")
