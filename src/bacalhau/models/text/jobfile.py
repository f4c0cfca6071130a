"""A job file of either generation, YAML or JSON, as today's job: every fault is listed with its path before anything is
refused.

Templates, reading of files and standard input are left to the command line; what jobs may ask for is `validate_job`'s
business.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import convert_sound, decode, fold_keys, is_deep
from bacalhau.lib.yaml_text import load_yaml, safe_loader, too_deep
from bacalhau.models.job.job import SERVERS_KEYS, Job
from bacalhau.models.job.validate import list_problems
from bacalhau.models.seed.reading import ignored_metadata, job_from_seed
from bacalhau.models.seed.seed import SeedJob

Check = Callable[[Job], list[str]]
"""All problems of a job."""

_BESIDE_JOB = frozenset({"job", "state", "history", "executions"})
_TEXTS = frozenset({"resources", "resourcesconfig", "env", "labels", "meta"})
_KINDS = {type(None): "nothing", list: "a list", bool: "a truth value", int: "a number", float: "a number"}
_INDEX = re.compile(r"\[\d+\]$")


def _no_problems(job: Job) -> list[str]:
    return []


def read_job_text(text: str, *, strict: bool, check: Check = _no_problems) -> tuple[Job, list[str]]:
    """The job and warnings. Raises BadRequest that lists every fault.

    `strict` refuses unknown fields and, in today's form, fields that only the server sets; otherwise unknown fields are
    named in warnings and the server's own fields stay, for the server to say that it ignores them. A file that is
    refused is refused with what `check` finds in the rest of it, too.
    """
    return _read(_document(text), strict, check)


def _read(raw: dict[Any, Any], strict: bool, check: Check) -> tuple[Job, list[str]]:
    """Read a job of either generation, also as the `Job` of a description with state and history beside it."""
    beside = [key for key in raw if str(key).lower() not in _BESIDE_JOB]
    inner = next((value for key, value in raw.items() if str(key).lower() == "job"), None)
    unknown = [_unknown_text(str(key), "file", []) for key in beside] if isinstance(inner, dict) else []
    job = inner if isinstance(inner, dict) else raw
    read = _read_seed if "spec" in {str(key).lower() for key in job} else _read_job
    return read(_tidy(job), unknown, strict, check)


def _read_job(raw: dict[str, Any], unknown: list[str], strict: bool, check: Check) -> tuple[Job, list[str]]:
    folded, paths = fold_keys(raw, Job)
    unknown = unknown + [_unknown_field(path, Job, "Job") for path in paths]
    faults = [f"field: '{key}' in 'Job' is not allowed" for key in folded if key in SERVERS_KEYS] if strict else []
    faults += unknown if strict else []
    job, wrong = convert_sound(folded, Job)
    _refuse(faults, wrong, job, check)
    return job or Job(), _ignored(unknown, strict)


def _read_seed(raw: dict[str, Any], unknown: list[str], strict: bool, check: Check) -> tuple[Job, list[str]]:
    folded, paths = fold_keys(raw, SeedJob)
    unknown = unknown + [_unknown_field(path, SeedJob, "Job") for path in paths]
    found, wrong = convert_sound(folded, SeedJob)
    seed = found or SeedJob()
    job, problems = job_from_seed(seed)
    _refuse(unknown if strict else [], wrong or problems, job if found else None, check)
    left = ignored_metadata(seed)
    notes = (
        [f"The following fields have data in them and will be ignored on creation: {', '.join(left)}"] if left else []
    )
    return job, _ignored(unknown, strict) + notes


def _ignored(unknown: list[str], strict: bool) -> list[str]:
    return [] if strict else [f"{text}, ignored" for text in unknown]


def _refuse(faults: list[str], wrong: list[str], sound: Job | None, check: Check) -> None:
    """Raise what is wrong with the fields together with what is wrong with the job that the right ones make."""
    if not faults and not wrong:
        return
    raise BadRequest([*faults, *list_problems(wrong, check(sound) if sound else ())])


def _tidy(raw: dict[Any, Any]) -> dict[str, Any]:
    """Absent in place of null, text in place of numbers where only text makes sense (`CPU: 0.5`); parameters stay as
    they are.
    """
    tidy: dict[str, Any] = {}
    for key, value in raw.items():
        name = str(key).lower()
        if value is None or name == "params":
            tidy |= {str(key): value} if value is not None else {}
        elif name in _TEXTS and isinstance(value, dict):
            tidy[_spelled(str(key))] = {str(k): _as_text(v) for k, v in value.items() if v is not None}
        else:
            tidy[str(key)] = _tidy_any(value)
    return tidy


def _tidy_any(value: Any) -> Any:
    if isinstance(value, dict):
        return _tidy(value)
    return [_tidy_any(item) for item in value] if isinstance(value, list) else value


def _spelled(key: str) -> str:
    """Older documentation calls a task's resources by the name of their type."""
    return "Resources" if key.lower() == "resourcesconfig" else key


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _unknown_field(path: str, kind: type[msgspec.Struct], root: str) -> str:
    parent, _, name = path.rpartition(".")
    return _unknown_text(name, f"{root}.{parent}" if parent else root, _names_at(kind, parent))


def _unknown_text(name: str, where: str, known: list[str]) -> str:
    spelled = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), spelled, n=1)
    cure = f" (did you mean '{spelled[close[0]]}'?)" if close else ""
    return f"unknown field: '{name}' in '{where}'{cure}"


def _names_at(kind: Any, path: str) -> list[str]:
    """The field names of the struct that stands at `path` below `kind`."""
    fields = {f.encode_name.lower(): f for f in msgspec.structs.fields(kind)}
    if not path:
        return [f.encode_name for f in fields.values()]
    head, _, rest = path.partition(".")
    return _names_at(_struct_in(fields[_INDEX.sub("", head).lower()].type), rest)


def _struct_in(kind: Any) -> Any:
    """`tuple[X, ...] | None` → `X`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for argument in get_args(kind) if (found := _struct_in(argument))), None)


def _document(text: str) -> dict[Any, Any]:
    if not text.strip():
        raise BadRequest("no content provided", hint="a job file is YAML or JSON with the fields Name, Type and Tasks")
    try:
        raw = _json(text) if text.lstrip().startswith("{") else _yaml(text)
    except msgspec.DecodeError:
        raw = _yaml(text)
    if not isinstance(raw, dict):
        raise BadRequest(
            f"a job file must hold one job, found {_KINDS.get(type(raw), 'a text')}",
            hint="a job file is YAML or JSON with the fields Name, Type and Tasks",
        )
    return raw


def _json(text: str) -> dict[Any, Any]:
    raw = decode(text, dict)
    if is_deep(raw):
        raise too_deep()
    return raw


def _yaml(text: str) -> Any:
    return load_yaml(text, _loader)


def _loader(yaml: Any) -> Any:
    """Safe YAML that refuses a key given twice, and knows no dates: they would turn texts such as 2024-01-01 into
    something else.
    """
    safe: Any = safe_loader(yaml)

    def mapping(self: Any, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark
                )
            seen |= {key.value} if isinstance(key.value, str) else set()
        return safe.construct_mapping(self, node, deep)

    resolvers = {
        first: [r for r in found if r[0] != "tag:yaml.org,2002:timestamp"]
        for first, found in safe.yaml_implicit_resolvers.items()
    }
    return type("Loader", (safe,), {"construct_mapping": mapping, "yaml_implicit_resolvers": resolvers})
