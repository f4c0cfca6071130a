"""Output in the format of `--output`: a table for people; CSV, JSON and YAML for programs."""

import csv
import io
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from bacalhau.border.names import escaped
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.report import coloured
from bacalhau.cli.frame.say import say, terminal_width
from bacalhau.cli.output.flags import Document, Page, Table
from bacalhau.cli.output.table import Column, Style, draw
from bacalhau.lib.ids import short_id
from bacalhau.lib.wire import go_escaped


def show_items(
    flags: Table, columns: Sequence[Column], items: Sequence[Any], *, raw: Sequence[Any] | None = None
) -> None:
    """A list by `--output`; `raw` is what JSON and YAML carry instead of `items`."""
    kind = flags.output or "table"
    if kind == "table":
        look = look_for(sys.stdout, wide=flags.wide)
        colour = coloured(sys.stdout) and not flags.no_style
        say_lines(draw(columns, items, look._replace(header=not flags.hide_header, colour=colour)))
    elif kind == "csv":
        say_csv(columns, items, header=not flags.hide_header)
    else:
        show_document(flags, list(items if raw is None else raw), kind)


def look_for(stream: TextIO, *, wide: bool = False) -> Style:
    """Return the looks of a table that fits the stream's terminal; elsewhere tables take the room they need."""
    return Style(wide=wide, columns=terminal_width(stream))


def show_document(flags: Document, value: Any, default: str) -> None:
    """One value by `--output` of json or yaml."""
    if (flags.output or default) == "json":
        say(json_text(value, pretty=flags.pretty))
    else:
        say(yaml_text(value), nl=False)


def say_more(call: Call[Page], output: str | None, token: str) -> None:
    """Print the command for the next page: on stdout beside a table, on stderr beside what a program reads."""
    if token:
        again = shlex.join([*call.path.split(), *call.args, "--limit", str(call.flags.limit), "--next-token", token])
        say(f"\nTo fetch more records use:\n\t{again}", err=output not in (None, "table"))


def say_lines(lines: Sequence[str]) -> None:
    if lines:
        say("\n".join(lines))


def say_csv(columns: Sequence[Column], items: Sequence[Any], *, header: bool) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow([column.name for column in columns])
    writer.writerows([[column.cell(item) for column in columns] for item in items])
    say(out.getvalue(), nl=False)


def json_text(value: Any, *, pretty: bool = False) -> str:
    """Characters of HTML are escaped, as the original escapes them."""
    data = msgspec.json.encode(value)
    return escaped(go_escaped(msgspec.json.format(data, indent=2) if pretty else data).decode())


def yaml_text(value: Any) -> str:
    """Keys sorted. The library is loaded now: most commands print no YAML."""
    text: str = resolve("bacalhau.cli.output.yaml:yaml_text")(value)
    return text


def when(ns: int) -> str:
    """Unix nanoseconds as `2006-01-02 15:04:05`, UTC."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def stamp(time: str) -> str:
    """RFC 3339 as `2006-01-02 15:04:05`."""
    return time[:19].replace("T", " ")


def clock_time(moment: str) -> str:
    """`2006-01-02 15:04:05` → `15:04:05`."""
    return moment.rpartition(" ")[2]


def time_column(name: str, ns: Any) -> Column:
    return Column(name, lambda item: when(ns(item)), 8, brief=clock_time)


def id_column(name: str, id_of: Any) -> Column:
    return Column(name, id_of, brief=short_id)
