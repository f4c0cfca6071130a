"""How the command line is read: pflag's rules on top of Click, and a command tree that imports a command only when it
is meant.

Click keeps contexts, help and dispatch; the reading of tokens and the texts of errors are here, because scripts written
for the original rely on them: flags anywhere up to `--`, booleans that never eat the next token, `-i=v`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

import click

from bacalhau.cli.frame import settings
from bacalhau.lib.errors import BadRequest

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_SCANNER = "bacalhau.scanner"


class Arity(NamedTuple):
    """How many positionals a command takes; `most` None is any number."""

    least: int = 0
    most: int | None = 0

    def check(self, path: str, given: list[str]) -> None:
        count = len(given)
        if count and self.most == 0:
            raise click.UsageError(f'unknown command "{given[0]}" for "{path}"')
        if self.most == self.least != count:
            raise click.UsageError(f"accepts {self.least} arg(s), received {count}")
        if count < self.least:
            raise click.UsageError(f"requires at least {self.least} arg(s), only received {count}")
        if self.most is not None and count > self.most:
            raise click.UsageError(f"accepts at most {self.most} arg(s), received {count}")


NO_ARGS, ONE_ARG, MAYBE_ARG, SOME_ARGS = Arity(), Arity(1, 1), Arity(0, 1), Arity(1, None)


class Scanner:
    """Stands where Click expects its option parser; the texts it returns are converted by Click's parameters."""

    _opt_prefixes = frozenset({"-", "--"})

    def __init__(self, params: Iterable[click.Parameter], *, interspersed: bool) -> None:
        self._flags = {name: p for p in params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)}
        self._interspersed = interspersed
        self.found: dict[str, Any] = {}
        self._rest: list[str] = []

    def parse_args(self, args: list[str]) -> tuple[dict[str, Any], list[str], list[click.Parameter]]:
        """Values by parameter name, positionals, and the parameters in the order they were seen."""
        order: list[click.Parameter] = []
        rest = self._rest = []
        queue = deque(args)
        while queue:
            token = queue.popleft()
            if token == "--":
                rest.extend(queue)
                break
            if token.startswith("-") and token != "-":
                for flag, value in self._read(token, queue):
                    order.append(flag)
                    self._keep(flag, value)
                continue
            rest.append(token)
            if not self._interspersed:
                rest.extend(queue)
                break
        return self.found, rest, order

    def _read(self, token: str, queue: deque[str]) -> list[tuple[click.Option, str]]:
        return [self._long(token, queue)] if token.startswith("--") else self._short(token, queue)

    def _long(self, token: str, queue: deque[str]) -> tuple[click.Option, str]:
        name, equals, value = token.partition("=")
        flag = self._flags.get(name)
        if flag is None:
            raise click.UsageError(f"unknown flag: {name}")
        if equals:
            return flag, value
        if (lone := _lone(flag)) is not None:
            return flag, queue.popleft() if self._is_count(flag, queue) else lone
        if not queue:
            raise click.UsageError(f"flag needs an argument: {name}")
        return flag, queue.popleft()

    def _short(self, token: str, queue: deque[str]) -> list[tuple[click.Option, str]]:
        read: list[tuple[click.Option, str]] = []
        letters = token[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._flags.get(f"-{letter}")
            if flag is None:
                raise click.UsageError(f"unknown shorthand flag: '{letter}' in {token}")
            if (lone := _lone(flag)) is not None and not letters.startswith("="):
                read.append((flag, queue.popleft() if not letters and self._is_count(flag, queue) else lone))
                continue
            if not letters and not queue:
                raise click.UsageError(f"flag needs an argument: '{letter}' in {token}")
            read.append((flag, letters.removeprefix("=") if letters else queue.popleft()))
            break
        return read

    def _is_count(self, flag: click.Option, queue: deque[str]) -> bool:
        """Whether the number that comes next is the flag's: the command's argument was there already, or comes after
        it.
        """
        is_alone = not self._rest and (len(queue) < 2 or queue[1].startswith("-"))
        return not flag.is_bool_flag and bool(queue) and queue[0].isdigit() and not is_alone

    def _keep(self, flag: click.Option, value: str) -> None:
        if flag.multiple:
            self.found.setdefault(str(flag.name), []).append(value)
        else:
            self.found[str(flag.name)] = value


def _lone(flag: click.Option) -> str | None:
    return "true" if flag.is_bool_flag else getattr(flag, "lone", None)


def shown_name(flag: click.Option) -> str:
    """`-i, --input`, or `--cpu` where there is no short form."""
    return ", ".join(
        [*(o for o in flag.opts if not o.startswith("--"))][:1] + [*(o for o in flag.opts if o.startswith("--"))][:1]
    )


def invalid_argument(value: object, names: str, reason: str) -> click.UsageError:
    """`names` as `-i, --input`."""
    return click.UsageError(f'invalid argument "{value}" for "{names}" flag: {reason}')


class Flag(click.Option):
    """An option that knows under which heading of the help it stands. `lone` is its value where it stands alone.

    Such a flag takes a number that follows it, too, when that cannot be the command's own argument: `--tail 10 JOB`,
    `JOB --tail 10`.
    """

    def __init__(self, *names: str, section: str = "Flags", lone: str | None = None, **kwargs: Any) -> None:
        super().__init__([*names], **kwargs)
        self.section = section
        self.lone = lone


class Command(click.Command):
    """A leaf of the tree.

    What follows the flags arrives in `ctx.args`; `settings` flags are accepted here as well as before the command.
    """

    def __init__(self, *args: Any, arity: Arity = NO_ARGS, operands: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arity = arity
        self.operands = operands
        self.context_settings = {**CONTEXT, "allow_extra_args": True}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *settings.FLAGS]

    def make_parser(self, ctx: click.Context) -> Any:
        return _scanner(ctx, self, interspersed=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = _parsed(super().parse_args, ctx, args)
        self._arity.check(ctx.command_path, rest)
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[flags]", *([self.operands] if self.operands else [])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_flags(self.get_params(ctx), ctx, formatter)


class Entry(NamedTuple):
    """A command that is imported when it is meant: where it is (`module:attribute`) and its line in the help of its
    group.
    """

    target: str
    help: str


class Tree(click.Group):
    """A group whose commands are entries; without a command it prints its help and exits 0."""

    def __init__(self, name: str, entries: dict[str, Entry], **kwargs: Any) -> None:
        super().__init__(name, invoke_without_command=True, callback=_help_without_command, **kwargs)
        self._entries = entries
        self.context_settings = CONTEXT

    @property
    def summaries(self) -> dict[str, str]:
        """Name and line of help of every command, without importing any."""
        return {name: entry.help for name, entry in self._entries.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
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
            formatter.write_dl([(name, self._entries[name].help) for name in self.list_commands(ctx)])

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *settings.FLAGS]

    def make_parser(self, ctx: click.Context) -> Any:
        return _scanner(ctx, self, interspersed=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return _parsed(super().parse_args, ctx, args)


def resolve(target: str) -> Any:
    """`module:attribute` → the attribute, importing its module now."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _write_flags(params: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        record = param.get_help_record(ctx)
        if record is not None:
            heading = "Global flags" if param in settings.FLAGS else getattr(param, "section", "Flags")
            sections.setdefault(heading, []).append(record)
    for heading in sorted(sections, key=lambda name: name == "Global flags"):
        with formatter.section(heading):
            formatter.write_dl(sections[heading], col_max=32)


def _help_without_command() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _scanner(ctx: click.Context, command: click.Command, *, interspersed: bool) -> Scanner:
    ctx.meta[_SCANNER] = scanner = Scanner(command.get_params(ctx), interspersed=interspersed)
    return scanner


def _parsed(parse: Callable[[click.Context, list[str]], list[str]], ctx: click.Context, args: list[str]) -> list[str]:
    try:
        return parse(ctx, args)
    except click.BadParameter as e:
        if not isinstance(e.param, click.Option):
            raise
        given = ctx.meta[_SCANNER].found.get(e.param.name)
        reason = "must be true or false" if e.param.is_bool_flag else e.message
        raise invalid_argument(given[-1] if isinstance(given, list) else given, shown_name(e.param), reason) from e
