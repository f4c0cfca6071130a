"""The reading of a command line by pflag's rules, on top of Click.

Click keeps contexts, help and dispatch; the reading of tokens and the texts of errors are here, because scripts written
for the original rely on them: flags anywhere up to `--`, booleans that never eat the next token, `-i=v`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import click

from bacalhau.cli.frame.lazy import resolve

_SCANNER = "bacalhau.scanner"


class Mistake(click.UsageError):
    """A command line that cannot be read, with a hint how to write it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


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
            raise Mistake(f"unknown flag: {name}", self._suggestion(name))
        if equals:
            return flag, value
        if (lone := _lone(flag)) is not None:
            return flag, queue.popleft() if self._is_count(flag, queue) else lone
        if not queue:
            raise click.UsageError(f"flag needs an argument: {name}")
        return flag, queue.popleft()

    def _suggestion(self, name: str) -> str:
        """Name the flag that may be meant; else say where they are listed."""
        names = [known for known in self._flags if known.startswith("--")]
        near: list[str] = resolve("difflib:get_close_matches")(name.lower(), names, n=1)
        return f"did you mean {near[0]}?" if near else "--help lists the flags"

    def _short(self, token: str, queue: deque[str]) -> list[tuple[click.Option, str]]:
        read: list[tuple[click.Option, str]] = []
        letters = token[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._flags.get(f"-{letter}")
            if flag is None:
                raise Mistake(f"unknown shorthand flag: '{letter}' in {token}", "--help lists the flags")
            if (lone := _lone(flag)) is not None and not letters.startswith("="):
                read.append((flag, queue.popleft() if not letters and self._is_count(flag, queue) else lone))
                continue
            if not letters and not queue:
                raise click.UsageError(f"flag needs an argument: '{letter}' in {token}")
            read.append((flag, letters.removeprefix("=") if letters else queue.popleft()))
            break
        return read

    def _is_count(self, flag: click.Option, queue: deque[str]) -> bool:
        """Tell whether the number that comes next is the flag's: it is when the command's argument came before, or
        comes after.
        """
        is_alone = not self._rest and (len(queue) < 2 or queue[1].startswith("-"))
        return not flag.is_bool_flag and bool(queue) and queue[0].isdecimal() and queue[0].isascii() and not is_alone

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
    """An option with a heading of the help to stand under, and the value it usually has.

    `lone` is the text of a flag that stands alone. Such a flag takes a number that follows it, too, when that cannot be
    the command's own argument: `--tail 10 JOB`, `JOB --tail 10`.
    """

    section = "Flags"

    def __init__(self, *names: str, lone: str | None = None, default: Any = None, **kwargs: Any) -> None:
        super().__init__([*names], default=default, **kwargs)
        self.lone = lone
        self.usual = tuple(default or ()) if self.multiple else default


def new_scanner(ctx: click.Context, command: click.Command, *, interspersed: bool) -> Scanner:
    """Make the scanner of a command. `interspersed`: flags may stand behind positionals."""
    ctx.meta[_SCANNER] = scanner = Scanner(command.get_params(ctx), interspersed=interspersed)
    return scanner


def parse_with(
    parse: Callable[[click.Context, list[str]], list[str]], ctx: click.Context, args: list[str]
) -> list[str]:
    """Run `parse` of Click, and word its refusals as pflag does. Raises UsageError."""
    try:
        return parse(ctx, args)
    except click.BadParameter as e:
        if not isinstance(e.param, click.Option):
            raise
        given = ctx.meta[_SCANNER].found.get(e.param.name)
        reason = "must be true or false" if e.param.is_bool_flag else e.message
        raise invalid_argument(given[-1] if isinstance(given, list) else given, shown_name(e.param), reason) from e
