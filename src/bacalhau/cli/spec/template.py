"""Filling in a job file's template: Go's text/template over a map of texts, where a name that nobody gave
is an error.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bacalhau.border.patterns import Pattern, PatternFault
from bacalhau.cli.spec.template_syntax import Block, Node, Operand, Pipe, Show, Text, read_template
from bacalhau.lib.errors import BadRequest

_VERB = re.compile(r"%[-+#0 ]*\d*(?:\.\d+)?[a-zA-Z%]")


def fill_template(text: str, values: Mapping[str, str]) -> str:
    """Fill a template in. Raises BadRequest naming what cannot be read or filled in."""
    return "".join(_Filling(values).nodes(read_template(text), values))


def template_values(given: Mapping[str, str], environ: Mapping[str, str], pattern: str | None) -> dict[str, str]:
    """Merge given values with variables of the environment whose name holds a match of `pattern`; given ones win."""
    if not pattern:
        return dict(given)
    try:
        wanted = Pattern("" if pattern == "*" else pattern)
    except PatternFault as e:
        raise BadRequest(f"failed to compile environment variable pattern: {pattern}: {e}") from e
    return {name: value for name, value in environ.items() if wanted.search(name)} | dict(given)


def _failed(what: str) -> BadRequest:
    return BadRequest(
        f"failed to execute template: {what}", hint="give values with -V NAME=VALUE or --template-envs PATTERN"
    )


class _Filling:
    """One run over the tree, with the variables that are set on the way."""

    def __init__(self, root: Mapping[str, str]) -> None:
        self._variables: dict[str, Any] = {"$": root}

    def nodes(self, nodes: Sequence[Node], dot: Any) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, Text):
                yield node.text
            elif isinstance(node, Show):
                value = self._pipe(node.pipe, dot)
                yield "" if node.pipe.names else _shown(value)
            else:
                yield from self._block(node, dot)

    def _block(self, block: Block, dot: Any) -> Iterator[str]:
        if block.word == "range":
            yield from self._range(block, dot)
            return
        value = self._pipe(block.pipe, dot)
        if value:
            yield from self.nodes(block.body, value if block.word == "with" else dot)
        else:
            yield from self.nodes(block.otherwise, dot)

    def _range(self, block: Block, dot: Any) -> Iterator[str]:
        items = self._pipe(Pipe((), block.pipe.commands), dot)
        if not isinstance(items, Mapping | list | int):
            raise _failed(f"range can't iterate over {_shown(items)}")
        pairs = (
            sorted(items.items())
            if isinstance(items, Mapping)
            else list(enumerate(range(items) if isinstance(items, int) else items))
        )
        for key, value in pairs:
            names = block.pipe.names
            self._variables |= dict(zip(names, (key, value) if len(names) == 2 else (value,), strict=False))
            yield from self.nodes(block.body, value)
        if not pairs:
            yield from self.nodes(block.otherwise, dot)

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = None
        for place, command in enumerate(pipe.commands):
            value = self._command(command, dot, [value] if place else [])
        for name in pipe.names:
            self._variables[name] = value
        return value

    def _command(self, command: tuple[Operand, ...], dot: Any, more: list[Any]) -> Any:
        first, *rest = command
        if first.kind != "word":
            if rest or more:
                raise _failed(f"can't give argument to non-function {first.value}")
            return self._value(first, dot)
        if first.value in ("and", "or"):
            return self._first_of(first.value, rest, dot, more)
        function = _FUNCTIONS.get(first.value)
        if function is None:
            raise _failed(f'function "{first.value}" not defined')
        return _called(first.value, function, [*(self._value(operand, dot) for operand in rest), *more])

    def _first_of(self, word: str, operands: Sequence[Operand], dot: Any, more: list[Any]) -> Any:
        """The first that decides; those after it are not looked at."""
        value: Any = None
        for operand in operands:
            value = self._value(operand, dot)
            if bool(value) == (word == "or"):
                return value
        return more[-1] if more else value

    def _value(self, operand: Operand, dot: Any) -> Any:
        if operand.kind == "field":
            return _member(dot, operand.value)
        if operand.kind == "variable":
            name, *path = operand.value.split(".")
            if name not in self._variables:
                raise _failed(f"undefined variable {name}")
            return _member(self._variables[name], path)
        if operand.kind == "word":
            return self._command((operand,), dot, [])
        return self._pipe(operand.value, dot) if operand.kind == "pipe" else operand.value


def _member(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(value, Mapping):
            raise _failed(f"can't evaluate field {name} in {_shown(value)}")
        if name not in value:
            raise _failed(f'map has no entry for key "{name}"')
        value = value[name]
    return value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{value[key]}' for key in sorted(value))}]"
    return "<no value>" if value is None else str(value)


def _called(name: str, function: Callable[..., Any], values: list[Any]) -> Any:
    try:
        return function(*values)
    except (TypeError, ValueError, IndexError, KeyError) as e:
        raise _failed(f"error calling {name}: {e}") from e


def _index(value: Any, *keys: Any) -> Any:
    """A key that a map lacks gives the empty text, as in Go."""
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    left = iter(values)

    def drawn(verb: re.Match[str]) -> str:
        kind = verb[0][-1]
        if kind == "%":
            return "%"
        value = next(left)
        if kind == "q":
            return f'"{value}"'
        return f"{verb[0][:-1]}s" % _shown(value) if kind in "vs" else verb[0] % value

    try:
        return _VERB.sub(drawn, form)
    except StopIteration as e:
        raise ValueError(f"{form!r} wants more values") from e


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "not": operator.not_,
    "index": _index,
    "len": len,
    "eq": lambda one, *others: any(one == other for other in others),
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "print": lambda *values: "".join(map(_shown, values)),
    "println": lambda *values: " ".join(map(_shown, values)) + "\n",
    "printf": _printf,
}
