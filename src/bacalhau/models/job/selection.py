"""The choice of objects within a source, in the same words for every source that lists objects: which names, sizes and
dates are taken.

A source's parameters have the fields of `Selection`; `selection_of` reads them, `Choice` decides about objects.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bacalhau.border.globs import Globs
from bacalhau.border.names import shorten
from bacalhau.border.patterns import PatternFault
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.units import parse_bytes
from bacalhau.lib.wire import Model

T = TypeVar("T")
_AGE = re.compile(r"(?:([0-9]{1,6})w)?(?:([0-9]{1,6})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d))?", re.ASCII)
_DATE_CURE = "write a date such as 2026-01-31 or 2026-01-31T12:00:00Z, or an age such as 7d or 12h30m"
_SIZE_CURE = "write a number of bytes with its unit, such as 500Kb, 10Mb or 2Gi"
_TIMES, _SIZES = ("newer", "older"), ("min_size", "max_size")
_LISTS = ("include", "exclude")


class Selection(Model):
    """Limits of what is taken of a source.

    `include` and `exclude` are globs over paths below the input's folder (`border.globs.Globs`): an object is taken
    that one of the first matches, where there are any, and none of the second. Sizes are quantities of bytes, both
    limits within. `newer` takes objects changed at that time or later, `older` those changed before: a date, a time of
    RFC 3339, or an age. "" is no limit.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: str = ""
    max_size: str = ""
    newer: str = ""
    older: str = ""

    @property
    def is_dated(self) -> bool:
        """The times of objects are looked at."""
        return bool(self.newer or self.older)


def selection_of(params: Model) -> Selection:
    """Read the fields of a selection from parameters that have all of them."""
    return Selection(**{name: getattr(params, name) for name in Selection.__struct_fields__})


def list_selection_problems(params: Model) -> list[str]:
    """List every problem of the fields of a selection, each with the field, its value and the cure."""
    wanted = selection_of(params)
    found = [problem for name in _LISTS if (problem := _glob_problem(name, getattr(wanted, name)))]
    sizes = [_read(wanted, name, parse_bytes, _SIZE_CURE, found) for name in _SIZES]
    now = now_ns()
    times = [_read(wanted, name, lambda text: read_time(text, now), _DATE_CURE, found) for name in _TIMES]
    if sizes[0] is not None and sizes[1] is not None and sizes[0] > sizes[1]:
        found.append(f"min size {wanted.min_size} is above max size {wanted.max_size}: no object has such a size")
    if times[0] is not None and times[1] is not None and times[0] >= times[1]:
        found.append(f"newer {wanted.newer} is not before older {wanted.older}: no object is of such a time")
    return found


def list_given(params: Model) -> list[str]:
    """Name the limits that are set, as users write them for `-i`."""
    wanted = selection_of(params)
    return [option_name(name) for name in Selection.__struct_fields__ if getattr(wanted, name)]


def option_name(field: str) -> str:
    """Return the name of a field as an option: `min_size` is `min-size`."""
    return field.replace("_", "-")


def _read(wanted: Selection, name: str, read: Callable[[str], T], cure: str, found: list[str]) -> T | None:
    """Read a limit; None where there is none, or where it is a problem, which is added to `found`."""
    text = getattr(wanted, name)
    try:
        return read(text) if text else None
    except ValueError:
        found.append(f"{name.replace('_', ' ')} {shorten(text)!r} cannot be read: {cure}")
        return None


def _glob_problem(name: str, globs: tuple[str, ...]) -> str:
    try:
        Globs(globs or ("*",))
    except PatternFault as e:
        return f"{name} is not a list of globs: {e}"
    return ""


def read_time(text: str, now: int) -> datetime:
    """Read a date (its beginning in UTC), a time of RFC 3339, or an age before `now` (Unix ns). Raises ValueError."""
    clean = text.strip()
    if _DATE.fullmatch(clean):
        found = datetime.fromisoformat(clean.upper())
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    parts = _AGE.fullmatch(clean)
    if not parts or not any(parts.groups()):
        raise ValueError(text)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    age = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return datetime.fromtimestamp(now // 1_000_000_000, UTC) - age
    except OverflowError as e:
        raise ValueError(text) from e


class Choice:
    """A selection that is ready to decide; ages count back from `now` (Unix ns). `needs_time` says whether it looks at
    the times of objects. Raises PatternFault and ValueError for a selection that was not checked.
    """

    def __init__(self, wanted: Selection, now: int) -> None:
        self._include = Globs(wanted.include) if wanted.include else None
        self._exclude = Globs(wanted.exclude) if wanted.exclude else None
        self._least = parse_bytes(wanted.min_size) if wanted.min_size else None
        self._most = parse_bytes(wanted.max_size) if wanted.max_size else None
        self._newer = read_time(wanted.newer, now) if wanted.newer else None
        self._older = read_time(wanted.older, now) if wanted.older else None
        self._needs_size = self._least is not None or self._most is not None
        self.needs_time = wanted.is_dated
        self.is_open = wanted == Selection()

    def takes(self, path: str, size: int, modified: datetime | None) -> bool:
        """Tell whether an object is taken. `size` is -1 and `modified` None where nobody knows; it may be None also
        where the choice needs no time. Raises StorageFailure where a limit cannot be judged.
        """
        return (
            (self._include is None or self._include.match_any(path))
            and (self._exclude is None or not self._exclude.match_any(path))
            and (not self._needs_size or self._fits(path, size))
            and (not self.needs_time or self._is_of_time(path, modified))
        )

    def _fits(self, path: str, size: int) -> bool:
        if size < 0:
            raise _unknown(path, "size", "min-size and max-size")
        return (self._least is None or size >= self._least) and (self._most is None or size <= self._most)

    def _is_of_time(self, path: str, modified: datetime | None) -> bool:
        if modified is None:
            raise _unknown(path, "time of its last change", "newer and older")
        return (self._newer is None or modified >= self._newer) and (self._older is None or modified < self._older)


def _unknown(path: str, what: str, options: str) -> StorageFailure:
    said = f"the server does not tell of {shorten(path)!r} the {what}"
    return StorageFailure(said, hint=f"leave the limits {options} out", retryable=False)
