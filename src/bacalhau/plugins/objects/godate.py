"""Dates as the original's jobs describe them: by how Go writes the reference time, Mon Jan 2 15:04:05 2006. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from bacalhau.border.patterns import Pattern

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_LAYOUT = 256  # characters; the longest that Go's documentation shows has 35
_CENTURY_TURN = 69  # two-digit years from here on are of the 20th century

Fields = dict[str, int | str]


class _Element(NamedTuple):
    """`pattern` reads, `field` is what was read, `number` its value, `show` writes it again."""

    pattern: str
    field: str
    number: Callable[[str], int | str]
    show: Callable[[Fields], str]


def _digits(field: str, least: int, most: int, pad: str = "0") -> _Element:
    pattern = rf"\d{{{least},{most}}}" if pad != " " else r" ?\d{1,2}"
    width = least if pad != " " else 2
    return _Element(pattern, field, lambda text: int(text), lambda f: str(f[field]).rjust(width, pad))


def _names(field: str, names: tuple[str, ...], length: int | None) -> _Element:
    short = [name[:length] for name in names]

    def number(text: str) -> int:
        return [name.casefold() for name in short].index(text.casefold()) + 1

    return _Element("(?i:" + "|".join(short) + ")", field, number, lambda f: short[int(f[field]) - 1])


def _text(pattern: str, field: str) -> _Element:
    return _Element(pattern, field, lambda text: text, lambda f: str(f[field]))


def _short_year(text: str) -> int:
    return int(text) + (1900 if int(text) >= _CENTURY_TURN else 2000)


_ELEMENTS: Mapping[str, _Element] = {
    "January": _names("month", _MONTHS, None),
    "Jan": _names("month", _MONTHS, 3),
    "Monday": _names("weekday", _DAYS, None),
    "Mon": _names("weekday", _DAYS, 3),
    "MST": _text("[A-Z]{3,4}", "zone"),
    "2006": _digits("year", 4, 4),
    "-07:00": _text(r"[+-]\d\d:\d\d", "offset"),
    "-0700": _text(r"[+-]\d{4}", "offset"),
    "Z07:00": _text(r"Z|[+-]\d\d:\d\d", "offset"),
    "Z0700": _text(r"Z|[+-]\d{4}", "offset"),
    "01": _digits("month", 2, 2),
    "02": _digits("day", 2, 2),
    "03": _Element(r"\d{2}", "hour12", int, lambda f: f"{_twelve(f):02}"),
    "04": _digits("minute", 2, 2),
    "05": _digits("second", 2, 2),
    "06": _Element(r"\d{2}", "year", _short_year, lambda f: f"{int(f['year']) % 100:02}"),
    "15": _digits("hour", 2, 2),
    "PM": _Element("AM|PM", "half", str, lambda f: "PM" if _hour(f) >= 12 else "AM"),
    "pm": _Element("am|pm", "half", str.upper, lambda f: "pm" if _hour(f) >= 12 else "am"),
    "_2": _digits("day", 2, 2, " "),
    "1": _digits("month", 1, 2),
    "2": _digits("day", 1, 2),
    "3": _Element(r"\d{1,2}", "hour12", int, lambda f: str(_twelve(f))),
    "4": _digits("minute", 1, 2),
    "5": _digits("second", 1, 2),
}
_LAYOUT = re.compile(
    "|".join([*("_2(?!006)" if name == "_2" else re.escape(name) for name in _ELEMENTS), r"(?<=5)[.,]0+(?!\d)"])
)


def _hour(f: Fields) -> int:
    if "hour12" not in f:
        return int(f.get("hour", 0))
    return int(f["hour12"]) % 12 + (12 if f.get("half") == "PM" else 0) if "half" in f else int(f["hour12"])


def _twelve(f: Fields) -> int:
    return _hour(f) % 12 or 12


class GoLayout:
    """A layout such as `2006-01-02`; `has_date` tells whether there is anything in it to read."""

    def __init__(self, layout: str) -> None:
        self._parts: list[str | _Element] = []
        pattern, at = "", 0
        for found in _LAYOUT.finditer(layout):
            element = _ELEMENTS.get(found[0]) or _text(
                re.escape(found[0][0]) + rf"\d{{{len(found[0]) - 1}}}", "fraction"
            )
            literal = layout[at : found.start()]
            self._parts += [literal, element]
            pattern += re.escape(literal) + f"({element.pattern})"
            at = found.end()
        self._parts.append(layout[at:])
        self._pattern = Pattern(pattern + re.escape(layout[at:]))
        self.has_date = len(self._parts) > 1
        self.length = len(layout.encode())

    def canonical(self, text: str) -> str | None:
        """The date at the beginning of `text`, in as many bytes as the layout has, written again by the layout; None
        when there is none.
        """
        head = text.encode()[: self.length].decode(errors="replace")
        found = self._pattern.fullmatch(head)
        if found is None:
            return None
        elements = [part for part in self._parts if isinstance(part, _Element)]
        fields = {
            element.field: element.number(value or "") for element, value in zip(elements, found[1:], strict=True)
        }
        fields["weekday"] = _weekday(fields)
        if not fields["weekday"]:
            return None
        return "".join(part if isinstance(part, str) else part.show(fields) for part in self._parts)


def _weekday(fields: Fields) -> int:
    """1 to 7; 0 when there is no such moment.

    The calendar repeats after 400 years, and a date without a year is in the year 0.
    """
    year, month, day = (int(fields.get(name, missing)) for name, missing in (("year", 0), ("month", 1), ("day", 1)))
    if int(fields.get("hour12", 0)) > 12:
        return 0
    try:
        moment = datetime(
            year % 400 + 2000, month, day, _hour(fields), int(fields.get("minute", 0)), int(fields.get("second", 0))
        )
    except ValueError:
        return 0
    return moment.isoweekday()
