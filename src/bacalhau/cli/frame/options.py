"""The flags that commands share, grouped as the original groups them.

Only declarations: what a text means is for the grammar.
"""

import csv
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import click

from bacalhau.cli.frame import settings
from bacalhau.cli.frame.pflag import Flag, resolve
from bacalhau.client.overrides import Overrides
from bacalhau.lib.units import parse_duration


class Call(NamedTuple):
    """A command as it was typed: flags by name, positionals, and the settings for the configuration.

    `path` is `bacalhau job run`.
    """

    flags: dict[str, Any]
    args: list[str]
    settings: Overrides
    path: str


def runs(target: str) -> Any:
    """The callback of a command whose work is in `module:function`, imported when it runs; the function
    takes a `Call`.
    """

    @click.pass_context
    def callback(ctx: click.Context, /, **flags: Any) -> Any:
        return resolve(target)(Call(flags, ctx.args, settings.current(), ctx.command_path))

    return callback


def duration(value: str) -> float:
    """Go's `5m` or `1h30m`, in seconds."""
    try:
        return parse_duration(value)
    except ValueError as e:
        raise click.BadParameter("a duration needs a unit, as 30s, 5m or 1h30m") from e


def duration_text(value: str) -> str:
    """As `duration`, but the text itself."""
    duration(value)
    return value


class OneOf:
    """One of a few words, in any case."""

    def __init__(self, words: tuple[str, ...], says: str) -> None:
        self.__name__ = "word"
        self.words = words
        self._says = says or "must be one of " + ", ".join(f'"{word}"' for word in words)

    def __call__(self, value: str) -> str:
        for word in self.words:
            if value.lower() == word.lower():
                return word
        raise click.BadParameter(self._says.replace("{}", value))


def one_of(*words: str, says: str = "") -> OneOf:
    return OneOf(words, says)


def whole(least: int) -> Callable[[str | int], int]:
    """A whole number, not below `least`."""

    def convert(value: str | int) -> int:
        try:
            number = int(value)
        except ValueError as e:
            raise click.BadParameter("must be a whole number") from e
        if number < least:
            raise click.BadParameter(f"must be {least} or more")
        return number

    return convert


def tail(value: str | bool | int) -> bool | int:
    """`true`: from now on; a number: so many of the last lines."""
    if isinstance(value, bool | int) or value in ("true", "false"):
        return value if isinstance(value, bool | int) else value == "true"
    if not value.isdigit():
        raise click.BadParameter("must be a number of lines")
    return int(value)


def _comma_separated(ctx: click.Context, param: click.Parameter, values: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(field for row in csv.reader(values, strict=True) for field in row)
    except csv.Error as e:
        raise click.BadParameter(str(e), ctx, param) from e


def text(*names: str, help: str, section: str = "Flags", metavar: str = "TEXT", default: str | None = None) -> Flag:
    return Flag(*names, section=section, default=default, metavar=metavar, help=help)


def switch(*names: str, help: str, section: str = "Flags", default: bool = False) -> Flag:
    return Flag(*names, section=section, is_flag=True, default=default, help=help)


def number(*names: str, help: str, section: str = "Flags", default: int | None = None, least: int = 0) -> Flag:
    """A whole number, not below `least`."""
    return Flag(
        *names,
        section=section,
        type=whole(least),
        default=default,
        metavar="INT",
        help=help,
        show_default=bool(default),
    )


def many(*names: str, help: str, section: str = "Flags", metavar: str = "TEXT") -> Flag:
    """One value an occurrence; commas belong to the value."""
    return Flag(*names, section=section, multiple=True, metavar=metavar, help=help)


def listed(
    *names: str, help: str, section: str = "Flags", metavar: str = "TEXT", default: tuple[str, ...] | None = None
) -> Flag:
    """Each occurrence is one record of comma-separated values."""
    return Flag(
        *names, section=section, multiple=True, metavar=metavar, help=help, callback=_comma_separated, default=default
    )


def refused(*names: str, why: str, is_flag: bool = False) -> Flag:
    """A flag of the original that would have no effect here: said, not ignored."""

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            raise click.UsageError(f"flag {names[0]} is not supported: {why}")

    return Flag(
        *names, hidden=True, is_flag=is_flag, default=False if is_flag else None, expose_value=False, callback=refuse
    )


def no_effect(*names: str, is_flag: bool = False) -> Flag:
    """A flag that never had an effect in the original either, accepted for the scripts that carry it."""
    return Flag(*names, hidden=True, is_flag=is_flag, default=False if is_flag else None, expose_value=False)


JOB = [
    text("--name", section="Job", help="Name of the job; submitting the same name again updates it."),
    text("--namespace", section="Job", default="default", help="Namespace of the job."),
    number("--priority", section="Job", default=0, help="Higher is scheduled first."),
    listed("-l", "--labels", section="Job", metavar="KEY[=VALUE]", help="Labels (tags) of the job; repeatable."),
    number("--count", section="Job", least=1, help="How many nodes run the job, each its own partition (default 1)."),
    number("--concurrency", section="Job", least=1, help="The older name of --count."),
    Flag(
        "--target",
        section="Job",
        type=one_of("any", "all", says='expecting "any" or "all", not "{}"'),
        default="any",
        metavar="any|all",
        help="Run on any suitable nodes.",
    ),
    text("-s", "--selector", section="Job", help="Which nodes may run it, as `os_type=linux,zone in (a,b)`."),
    text("--constraints", section="Job", help="The newer name of --selector."),
]

TASK = [
    many(
        "-i",
        "--input",
        section="Task",
        metavar="URI[:PATH][,opt=K=V]",
        help="Input from s3://, ipfs://, http(s):// or file://, at PATH (default /inputs).",
    ),
    listed(
        "-o",
        "--output",
        section="Task",
        metavar="NAME:PATH",
        help="A directory to keep as a result; /outputs always is.",
    ),
    text(
        "-p",
        "--publisher",
        section="Task",
        metavar="URI[,opt=K=V]",
        default="ipfs",
        help="Where results go: ipfs, s3://bucket/key, local (default ipfs).",
    ),
    many("-e", "--env", section="Task", metavar="KEY=VALUE", help="Environment variables; repeatable."),
    text("--task-name", section="Task", default="main", help="Name of the task."),
    number("--timeout", section="Task", default=0, help="Seconds the job may run; 0 is the server's default."),
    number("--queue-timeout", section="Task", default=0, help="Seconds the job may wait for a node."),
]

NETWORK = [
    text(
        "--network",
        section="Network",
        default="Default",
        metavar="KIND",
        help="Default (the node's own, bridge), None, Bridge, Host or Full.",
    ),
    many(
        "--domain",
        section="Network",
        metavar="DOMAIN",
        help="With --network HTTP: a domain the job may talk to; repeatable.",
    ),
]

RESOURCES = [
    text("--cpu", section="Resources", default="", metavar="CPUS", help="Cores, as 500m or 2."),
    text("--memory", section="Resources", default="", metavar="SIZE", help="Memory, as 512Mb or 2Gi."),
    text("--disk", section="Resources", default="", metavar="SIZE", help="Disk, as 10Gb."),
    text("--gpu", section="Resources", default="", metavar="COUNT", help="GPUs."),
]

RUNTIME = [
    switch(
        "--wait", section="Waiting", default=True, help="Wait for the job to end (the default; --wait=false does not)."
    ),
    switch("--id-only", section="Waiting", help="Print nothing but the job's id on stdout."),
    switch("--node-details", section="Waiting", help="Print what each node printed when the job has ended."),
    switch("-f", "--follow", section="Waiting", help="Print the job's output as it comes."),
    switch(
        "--group-events",
        section="Waiting",
        help="Print one line an execution, when the job has ended, instead of one an event.",
    ),
    switch(
        "--exit-code", section="Waiting", help="Exit with the code of the job's own container (BACALHAU_EXIT_CODE=1)."
    ),
    no_effect("--wait-timeout-secs"),
]
DRY_RUN = switch("--dry-run", section="Waiting", help="Print the job instead of submitting it.")

TEMPLATE = [
    many(
        "-V",
        "--template-vars",
        section="Template",
        metavar="NAME=VALUE",
        help="A value for {{.NAME}} in the file; repeatable.",
    ),
    text(
        "-E",
        "--template-envs",
        section="Template",
        metavar="PATTERN",
        help="Variables of the environment that the file may use: a pattern, * for all.",
    ),
    switch("--no-template", section="Template", help="Take the file as it is; {{ means nothing."),
]

DOWNLOAD_TUNING = [
    switch("--raw", section="Download", help="Keep each result in its own folder instead of merging them."),
    text(
        "--output-dir",
        section="Download",
        default="",
        metavar="DIR",
        help="An existing directory for the results (default ./job-ID).",
    ),
    Flag(
        "--download-timeout-secs",
        section="Download",
        type=duration,
        default=None,
        metavar="DURATION",
        help="How long one result may take to download (default 5m).",
    ),
]

DOWNLOAD = [
    switch("--download", section="Download", help="Download the results when the job has completed."),
    *DOWNLOAD_TUNING,
    no_effect("-g", "--gettimeout"),
]

FORMAT = Flag(
    "--output",
    section="Output",
    type=one_of("table", "csv", "json", "yaml", says='should be one of ["table" "csv" "json" "yaml"]'),
    metavar="FORMAT",
    help="table, csv, json or yaml.",
)
PRETTY = switch("--pretty", section="Output", help="Indent JSON.")
TABLE = [
    FORMAT,
    PRETTY,
    switch("--hide-header", section="Output", help="Leave the header row out."),
    switch("--no-style", section="Output", help="No colour."),
    switch("--wide", section="Output", help="Full values, no shortening."),
]

DOCUMENT = [
    Flag(
        "--output",
        section="Output",
        type=one_of("json", "yaml", says='should be one of ["json" "yaml"]'),
        metavar="FORMAT",
        help="json or yaml.",
    ),
    PRETTY,
]

NAMESPACE = text("--namespace", default="", help="Namespace of the job (default `default`).")

VERSION = [
    NAMESPACE,
    number("-v", "--version", default=0, help="A version of the job (default: the latest)."),
    switch("--all-versions", help="All versions of the job."),
]


def paging(limit: int, orders: str) -> list[click.Parameter]:
    return [
        number("--limit", section="Paging", default=limit, help="How many rows; 0 is all."),
        text("--next-token", section="Paging", default="", help="Where the previous page ended."),
        text("--order-by", section="Paging", default="", help=f"One of {orders}."),
        switch("--order-reversed", section="Paging", help="The other way round."),
    ]


IPFS_NODE_FLAGS = [
    refused("--ipfs-swarm-addrs", why="no IPFS node is needed, results travel over the orchestrator's API"),
    refused("--ipfs-swarm-key", why="no IPFS node is needed, results travel over the orchestrator's API"),
    refused("--ipfs-connect", why="no IPFS node is needed, results travel over the orchestrator's API"),
    refused("--ipfs-serve-path", why="no IPFS node is needed, results travel over the orchestrator's API"),
    refused("--private-internal-ipfs", why="no IPFS node is needed, results travel over the orchestrator's API"),
]
