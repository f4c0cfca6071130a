"""Commands and groups of commands, imported only when they are meant.

A `Command` joins a struct of flags with the function that does the work, named as `module:function` and imported when
it runs. The function takes a `Call` and returns the exit code.
"""

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import click

from bacalhau.cli.frame import settings
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.pflag import Mistake, new_scanner, parse_with
from bacalhau.cli.frame.say import say
from bacalhau.client.overrides import Overrides
from bacalhau.lib.errors import BadRequest

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
F_co = TypeVar("F_co", bound=Flags, covariant=True)


class Call(NamedTuple, Generic[F_co]):
    """A command as it was typed: its flags, its positionals, and the settings for the configuration.

    `path` is `bacalhau job run`.
    """

    flags: F_co
    args: list[str]
    settings: Overrides
    path: str


class Operands(NamedTuple):
    """The positionals of a command: their text in the help, and how many there may be; `most` None is any number."""

    shown: str = ""
    least: int = 0
    most: int | None = 0

    def check(self, path: str, given: list[str]) -> None:
        """Raise Mistake for too few or too many."""
        count = len(given)
        usage = f"write it as `{' '.join([path, '[flags]', self.shown]).rstrip()}`"
        if count and self.most == 0:
            raise Mistake(f'unknown command "{given[0]}" for "{path}"', usage)
        if self.most == self.least != count:
            raise Mistake(f"accepts {self.least} arg(s), received {count}", usage)
        if count < self.least:
            raise Mistake(f"requires at least {self.least} arg(s), only received {count}", usage)
        if self.most is not None and count > self.most:
            raise Mistake(f"accepts at most {self.most} arg(s), received {count}", usage)


NOTHING = Operands()


class Command(click.Command):
    """A leaf of the tree. The flags of `settings` are accepted behind its name as well as before it.

    `brief` is its line in the help of its group; without one it is the beginning of `help`, up to a semicolon.
    """

    def __init__(
        self, name: str, flags: type[Flags], target: str, takes: Operands = NOTHING, *, help: str, brief: str = ""
    ) -> None:
        super().__init__(name, params=[*flags.declared.values()], help=help, short_help=brief or _first_clause(help))
        self.flags = flags
        self.target = target
        self.takes = takes
        self.context_settings = {**CONTEXT, "allow_extra_args": True}

    def invoke(self, ctx: click.Context) -> Any:
        return resolve(self.target)(Call(self.flags(**ctx.params), ctx.args, settings.current(), ctx.command_path))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *settings.FLAGS]

    def make_parser(self, ctx: click.Context) -> Any:
        return new_scanner(ctx, self, interspersed=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = parse_with(super().parse_args, ctx, args)
        self.takes.check(ctx.command_path, rest)
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[flags]", *([self.takes.shown] if self.takes.shown else [])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_flags(self.get_params(ctx), ctx, formatter)


class Entry(NamedTuple):
    """A command of a group that is imported when it is meant, from `module:attribute`."""

    name: str
    target: str
    brief: str


class Tree(click.Group):
    """A group of commands; without a command it prints its help and exits 0."""

    def __init__(self, name: str, commands: Iterable["Command | Tree | Entry"], *, help: str) -> None:
        super().__init__(
            name,
            invoke_without_command=True,
            callback=_help_without_command,
            help=help,
            short_help=_first_clause(help),
        )
        self._entries = {str(command.name): command for command in commands}
        self.context_settings = CONTEXT

    @property
    def briefs(self) -> dict[str, str]:
        """Name and line of help of every command, sorted, without importing any."""
        found = {name: e.brief if isinstance(e, Entry) else e.short_help or "" for name, e in self._entries.items()}
        return dict(sorted(found.items()))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if not isinstance(entry, Entry):
            return entry
        found = resolve(entry.target)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._entries:
            raise BadRequest(
                f'unknown command "{args[0]}" for "{ctx.command_path}"', hint=self._suggestion(ctx, args[0])
            )
        return super().resolve_command(ctx, args)

    def _suggestion(self, ctx: click.Context, word: str) -> str:
        """The commands that may be meant; else where they are listed."""
        near = resolve("difflib:get_close_matches")(word.lower(), list(self._entries), n=3)
        return (
            f"did you mean {' or '.join(f'`{ctx.command_path} {name}`' for name in near)}?"
            if near
            else f"`{ctx.command_path} --help` lists the commands"
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _write_flags(self.get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*self.briefs.items()])

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *settings.FLAGS]

    def make_parser(self, ctx: click.Context) -> Any:
        return new_scanner(ctx, self, interspersed=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return parse_with(super().parse_args, ctx, args)


def _first_clause(help: str) -> str:
    return help.partition(";")[0].removesuffix(".")


def _write_flags(params: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the flags under their headings; those that every command takes come last."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        record = param.get_help_record(ctx)
        if record is not None:
            sections.setdefault(getattr(param, "section", "Flags"), []).append(record)
    for heading in sorted(sections, key=lambda name: name == settings.SECTION):
        with formatter.section(heading):
            formatter.write_dl(sections[heading], col_max=32)


def _help_without_command() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
