"""A job file of either generation, YAML or JSON, as today's job: every fault is listed with its path before anything is
refused.

Fields that nobody knows are told in warnings, as the original runs such jobs. Templates, reading of files and standard
input are left to the command line; what jobs may ask for is `validate_job`'s business.
"""

from collections.abc import Callable
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.unknown import unknown_field, unknown_fields
from bacalhau.lib.wire import convert_sound, fold_keys
from bacalhau.lib.written import Written, settled
from bacalhau.models.job.count import AUTO
from bacalhau.models.job.job import SERVERS_KEYS, Job
from bacalhau.models.job.validate import list_problems
from bacalhau.models.seed.reading import ignored_metadata, job_from_seed
from bacalhau.models.seed.seed import SeedJob
from bacalhau.models.text.document import read_document

Check = Callable[[Job], list[str]]
"""All problems of a job."""

_BESIDE_JOB = frozenset({"job", "state", "history", "executions"})
_KINDS = {type(None): "nothing", list: "a list", bool: "a truth value", int: "a number", float: "a number"}


def _no_problems(job: Job) -> list[str]:
    return []


def read_job_text(text: str, *, strict: bool, check: Check = _no_problems) -> tuple[Job, list[str]]:
    """The job and warnings. Raises BadRequest that lists every fault.

    `strict` refuses, in today's form, unknown fields of the job itself and fields that only the server sets; otherwise
    all unknown fields are warnings, and the server's own fields stay, for the server to say that it ignores them. A
    file that is refused is refused with what `check` finds in the rest of it, too.
    """
    raw, notes = _document(text)
    job, warnings = _read(raw, strict, check)
    return job, notes + warnings


def _read(raw: dict[str, Any], strict: bool, check: Check) -> tuple[Job, list[str]]:
    """Read a job of either generation, also as the `Job` of a description with state and history beside it."""
    beside = [key for key in raw if key.lower() not in _BESIDE_JOB]
    inner = next((value for key, value in raw.items() if key.lower() == "job"), None)
    unknown = [unknown_field(key, "file") for key in beside] if isinstance(inner, dict) else []
    job = inner if isinstance(inner, dict) else raw
    read = _read_seed if "spec" in {key.lower() for key in job} else _read_job
    return read(job, unknown, strict, check)


def _read_job(raw: dict[str, Any], beside: list[str], strict: bool, check: Check) -> tuple[Job, list[str]]:
    folded, paths = fold_keys(_respelled(raw), Job)
    unknown = beside + unknown_fields(paths, Job, "Job")
    owned = [f"field: '{key}' in 'Job' is not allowed" for key in folded if key in SERVERS_KEYS]
    job, wrong = convert_sound(settled(folded, Job), Job)
    if wrong or (strict and (beside or owned or any(path in raw for path in paths))):
        _refuse([*(owned if strict else ()), *unknown], wrong, job, check)
    return job or Job(), _ignored(unknown)


def _read_seed(raw: dict[str, Any], beside: list[str], strict: bool, check: Check) -> tuple[Job, list[str]]:
    """`strict` makes no difference: that generation reads what it knows."""
    folded, paths = fold_keys(raw, SeedJob)
    unknown = beside + unknown_fields(paths, SeedJob, "Job")
    found, wrong = convert_sound(settled(folded, SeedJob), SeedJob)
    seed = found or SeedJob()
    job, problems = job_from_seed(seed)
    if wrong or problems:
        _refuse(unknown, wrong or problems, job if found else None, check)
    left = ignored_metadata(seed)
    notes = (
        [f"The following fields have data in them and will be ignored on creation: {', '.join(left)}"] if left else []
    )
    return job, _ignored(unknown) + notes


def _ignored(unknown: list[str]) -> list[str]:
    return [f"{text}, ignored" for text in unknown]


def _refuse(faults: list[str], wrong: list[str], sound: Job | None, check: Check) -> None:
    """Raise what is wrong with the fields together with what is wrong with the job that the right ones make."""
    raise BadRequest([*faults, *list_problems(wrong, check(sound) if sound else ())])


def _respelled(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a job whose tasks name their resources as today: older documentation calls them by their type's name."""
    return {
        key: [_respelled_task(task) for task in value] if key.lower() == "tasks" and isinstance(value, list) else value
        for key, value in with_auto_count(raw).items()
    }


def with_auto_count(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a job in which the word auto for a count is a field of its own, because others read a count as a
    number.
    """
    return dict(("AutoCount", True) if _is_auto(key, value) else (key, value) for key, value in raw.items())


def _is_auto(key: str, value: Any) -> bool:
    return key.lower() == "count" and isinstance(value, str) and value.strip().lower() == AUTO


def _respelled_task(task: Any) -> Any:
    if not isinstance(task, dict):
        return task
    return {"Resources" if key.lower() == "resourcesconfig" else key: value for key, value in task.items()}


def _document(text: str) -> tuple[dict[str, Any], list[str]]:
    if not text.strip():
        raise BadRequest("no content provided", hint="a job file is YAML or JSON with the fields Name, Type and Tasks")
    raw, notes = read_document(text)
    if not isinstance(raw, dict):
        found = raw.value if isinstance(raw, Written) else raw
        raise BadRequest(
            f"a job file must hold one job, found {_KINDS.get(type(found), 'a text')}",
            hint="a job file is YAML or JSON with the fields Name, Type and Tasks",
        )
    return raw, notes
