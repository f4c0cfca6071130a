"""The flags of a command as one frozen struct of typed fields.

A subclass of `Flags` declares each flag as a field: `limit: int = number("--limit", help="How many rows.")`. The
functions that declare a flag promise the type of its value, so the type checker compares it with the field and knows
`call.flags.limit` everywhere. Commands share flags by inheriting their structs: the help lists the flags of the bases
in their order, then the class's own. Faults of a declaration (a field without a flag, another name, a default of
another type) raise TypeError when the module is imported.
"""

import csv
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, get_args, get_origin

import click

from bacalhau.cli.frame.pflag import Flag
from bacalhau.cli.frame.reading import whole

T = TypeVar("T")
D = TypeVar("D")


def text(*names: str, help: str, metavar: str = "TEXT", default: str = "") -> str:
    """Declare a flag whose value is taken as it is."""
    return cast(str, Flag(*names, default=default, metavar=metavar, help=help))


def switch(*names: str, help: str, default: bool = False) -> bool:
    """Declare a flag that is true or false."""
    return cast(bool, Flag(*names, is_flag=True, default=default, help=help))


def number(*names: str, help: str, default: int = 0, least: int = 0) -> int:
    """Declare a flag that takes a whole number not below `least`."""
    shown = bool(default)
    flag = Flag(*names, type=whole(least), default=default, metavar="INT", help=help, show_default=shown)
    return cast(int, flag)


def many(*names: str, help: str, metavar: str = "TEXT") -> tuple[str, ...]:
    """Declare a repeatable flag with one value an occurrence; commas belong to the value."""
    return cast(tuple[str, ...], Flag(*names, multiple=True, metavar=metavar, help=help))


def listed(*names: str, help: str, metavar: str = "TEXT", default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Declare a repeatable flag; each occurrence is one record of comma-separated values."""
    flag = Flag(
        *names,
        multiple=True,
        metavar=metavar,
        help=help,
        callback=_comma_separated,
        default=default or None,
    )
    return cast(tuple[str, ...], flag)


def value(*names: str, read: Callable[[str], T], help: str, metavar: str, default: D, lone: str | None = None) -> T | D:
    """Declare a flag whose text `read` turns into a value. `lone` is the text of a flag that stands alone."""
    return cast(T | D, Flag(*names, type=read, default=default, metavar=metavar, help=help, lone=lone))


def refused(*names: str, why: str, is_flag: bool = False) -> Flag:
    """Declare a flag of the original that would have no effect here: giving it is an error that says why."""

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            raise click.UsageError(f"flag {names[0]} is not supported: {why}")

    return no_effect(*names, is_flag=is_flag, callback=refuse)


def no_effect(*names: str, is_flag: bool = False, callback: Callable[..., None] | None = None) -> Flag:
    """Declare a flag that never had an effect in the original either, accepted for the scripts that carry it."""
    default = False if is_flag else None
    return Flag(*names, hidden=True, is_flag=is_flag, default=default, expose_value=False, callback=callback)


def _comma_separated(ctx: click.Context, param: click.Parameter, values: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(field for row in csv.reader(values, strict=True) for field in row)
    except csv.Error as e:
        raise click.BadParameter(str(e), ctx, param) from e


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(text, switch, number, many, listed, value)
)
class Flags:
    """The flags of one command, or a group of flags that commands share. Fields that are not given have their default.

    The class keyword `section` is the heading under which the help lists the flags that the class itself declares.
    A flag without a value (`refused`, `no_effect`) is an attribute without a type.
    """

    declared: ClassVar[dict[str, Flag]] = {}

    def __init_subclass__(cls, section: str = "Flags") -> None:
        own = {name: flag for name, flag in vars(cls).items() if isinstance(flag, Flag)}
        _check(cls.__name__, own, vars(cls).get("__annotations__", {}))
        for flag in own.values():
            flag.section = section
        inherited = {name: flag for base in cls.__bases__ for name, flag in vars(base).get("declared", {}).items()}
        cls.declared = inherited | own

    def __init__(self, **values: Any) -> None:
        usual = {name: flag.usual for name, flag in self.declared.items() if flag.expose_value}
        if unknown := values.keys() - usual.keys():
            raise TypeError(f"{type(self).__name__} has no flag {', '.join(sorted(unknown))}")
        vars(self).update(usual | values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")


def _check(owner: str, flags: dict[str, Flag], types: dict[str, Any]) -> None:
    """Raise TypeError for a field without a flag, a flag without a field, another name, or a default of another
    type.
    """
    for name in types.keys() | flags.keys():
        flag = flags.get(name)
        if flag is None:
            raise TypeError(f"{owner}.{name} declares no flag")
        if flag.name != name:
            raise TypeError(f"{owner}.{name} declares a flag of another name: {flag.name}")
        if flag.expose_value != (name in types):
            raise TypeError(f"{owner}.{name}: a flag with a value needs a type, one without takes none")
        if name in types and not _fits(flag.usual, types[name]):
            raise TypeError(f"{owner}.{name}: the default {flag.usual!r} is no {types[name]}")


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return type(value) is tuple and all(type(item) is str for item in value)
    return type(value) in (get_args(kind) or (kind,))
