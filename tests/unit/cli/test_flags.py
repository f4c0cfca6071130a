"""Structs of flags: what a declaration promises, and which faults of it end the import."""

import pytest

from bacalhau.cli.frame.command import Command
from bacalhau.cli.frame.flags import Flags, listed, many, no_effect, number, switch, text, value
from bacalhau.cli.frame.reading import duration


class First(Flags, section="One"):
    name: str = text("--name", default="x", help="")
    limit: int = number("--limit", help="")


class Second(Flags, section="Two"):
    wide: bool = switch("--wide", help="")
    old = no_effect("--old")


class Both(First, Second, section="Three"):
    limit: int = number("--limit", default=5, help="")
    inputs: tuple[str, ...] = many("--inputs", help="")


def test_flags_of_the_bases_come_first_and_an_override_keeps_its_place():
    assert [*Both.declared] == ["name", "limit", "wide", "old", "inputs"]
    assert [flag.section for flag in Both.declared.values()] == ["One", "Three", "Two", "Two", "Three"]


def test_what_is_not_given_has_its_default():
    made = Both(wide=True)
    assert (made.name, made.limit, made.wide, made.inputs) == ("x", 5, True, ())
    assert First().limit == 0


def test_a_struct_does_not_change_and_knows_its_flags():
    with pytest.raises(AttributeError, match="First is frozen: limit cannot be set"):
        First().limit = 3
    for name in ("nope", "old"):
        with pytest.raises(TypeError, match=f"Both has no flag {name}"):
            Both(**{name: 1})


@pytest.mark.parametrize(
    ("kind", "field", "flag", "message"),
    [
        (int, "a", None, "a declares no flag"),
        (int, "a", 5, "a declares no flag"),
        (int, "a", number("--b", help=""), "a declares a flag of another name: b"),
        (int, "a", text("--a", help=""), "a: the default '' is no <class 'int'>"),
        (int, "a", switch("--a", help=""), "a: the default False is no <class 'int'>"),
        (str, "a", value("--a", read=str, default=None, metavar="", help=""), "a: the default None is no"),
        (float | None, "a", value("--a", read=duration, default=5, metavar="", help=""), "a: the default 5 is no"),
        (str, "a", listed("--a", help=""), r"a: the default \(\) is no"),
        (tuple[str, ...], "a", text("--a", help=""), "a: the default '' is no"),
        (None, "a", number("--a", help=""), "a: a flag with a value needs a type"),
        (str, "a", no_effect("--a"), "a: a flag with a value needs a type, one without takes none"),
    ],
)
def test_a_declaration_that_does_not_agree_is_refused(kind, field, flag, message):
    body = {"__annotations__": {field: kind} if kind else {}} | ({field: flag} if flag is not None else {})
    with pytest.raises(TypeError, match=message):
        type("Faulty", (Flags,), body)


def test_the_line_in_the_group_is_the_beginning_of_the_help():
    for help, brief in (("Do it.", "Do it"), ("Do it; or not.", "Do it")):
        assert Command("x", Flags, "a:b", help=help).short_help == brief
    assert Command("x", Flags, "a:b", help="Do it.", brief="Do").short_help == "Do"
