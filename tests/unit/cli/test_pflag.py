"""Flags as pflag reads them, and the texts scripts know."""

import click
import pytest

from bacalhau.cli.frame.command import NOTHING, Call, Command, Entry, Operands, Tree
from bacalhau.cli.frame.flags import Flags, listed, many, refused, switch, text, value
from bacalhau.cli.frame.reading import OneOf, duration, whole
from bacalhau.lib.errors import BadRequest

ONE, MAYBE, SOME = Operands("ID", 1, 1), Operands("[FILE]", 0, 1), Operands("IMAGE [ARG]...", 1, None)
seen: list[Call] = []


def remember(call: Call) -> None:
    seen.append(call)


class Run(Flags):
    input: tuple[str, ...] = many("-i", "--input", help="")
    labels: tuple[str, ...] = listed("-l", "--labels", help="")
    wait: bool = switch("--wait", default=True, help="")
    follow: bool = switch("-f", "--follow", help="")
    publisher: str = text("-p", "--publisher", default="ipfs", help="")
    count: int | None = value("--count", read=whole(1), default=None, metavar="INT", help="")
    limit_time: float | None = value("--limit-time", read=duration, default=None, metavar="DURATION", help="")
    target: str = value(
        "--target",
        read=OneOf("any", "all", says='expecting "any" or "all", not "{}"'),
        default="any",
        metavar="",
        help="",
    )
    gone = refused("--gone", why="it went")


def command(takes=SOME):
    return Command("run", Run, "tests.unit.cli.test_pflag:remember", takes, help="Run.")


run = command()
tree = Tree("bacalhau", [Entry("run", "tests.unit.cli.test_pflag:run", "Run")], help="Root")


def read(*args, takes=SOME):
    command(takes).main(list(args), prog_name="bacalhau run", standalone_mode=False)
    return seen[-1]


def refusal(*args, takes=SOME):
    with pytest.raises(click.UsageError) as caught:
        command(takes).main(list(args), prog_name="bacalhau run", standalone_mode=False)
    return caught.value.message


def test_flags_stand_anywhere_up_to_the_dashes():
    call = read("-i", "a", "image", "-l", "x", "--", "ls", "-l")
    assert call.args == ["image", "ls", "-l"]
    assert call.flags.input == ("a",)
    assert call.flags.labels == ("x",)


@pytest.mark.parametrize("form", [["-p", "s3"], ["-p=s3"], ["-ps3"], ["--publisher", "s3"], ["--publisher=s3"]])
def test_every_form_of_a_value(form):
    assert read(*form, "image").flags.publisher == "s3"


def test_a_value_keeps_its_equals_signs():
    assert read("-i=src=a,dst=b", "image").flags.input == ("src=a,dst=b",)


@pytest.mark.parametrize(
    ("form", "expected"), [("--wait", True), ("--wait=true", True), ("--wait=false", False), ("--wait=0", False)]
)
def test_booleans(form, expected):
    assert read(form, "image").flags.wait is expected


def test_a_boolean_does_not_eat_the_next_token():
    assert read("--wait", "false").args == ["false"]


def test_letters_together():
    call = read("-fps3", "image")
    assert (call.flags.follow, call.flags.publisher) == (True, "s3")
    assert read("-f=false", "image").flags.follow is False


def test_slices_split_at_commas_and_arrays_do_not():
    call = read("-l", 'a,"b,c"', "-l", "d", "-i", "x,y", "image")
    assert call.flags.labels == ("a", "b,c", "d")
    assert call.flags.input == ("x,y",)


def test_a_dash_alone_is_a_positional():
    assert read("-").args == ["-"]


def test_global_flags_before_and_after_the_command():
    tree.main(
        ["-c", "a.yaml", "--api-port", "1", "run", "image", "--config=X=1", "--api-host=h"],
        prog_name="bacalhau",
        standalone_mode=False,
    )
    given = seen[-1].settings
    assert given.config == ("a.yaml", "X=1")
    assert (given.api_host, given.api_port, given.data_dir) == ("h", 1, None)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["--nope=1"], "unknown flag: --nope"),
        (["-fx"], "unknown shorthand flag: 'x' in -fx"),
        (["--publisher"], "flag needs an argument: --publisher"),
        (["-p"], "flag needs an argument: 'p' in -p"),
        (["--wait=maybe", "i"], 'invalid argument "maybe" for "--wait" flag: must be true or false'),
        (["--count", "x", "i"], 'invalid argument "x" for "--count" flag: must be a whole number'),
        (["--count", "0", "i"], 'invalid argument "0" for "--count" flag: must be 1 or more'),
        (
            ["--limit-time", "5", "i"],
            'invalid argument "5" for "--limit-time" flag: a duration needs a unit, as 30s, 5m or 1h30m',
        ),
        (["--limit-time=-5s", "i"], 'invalid argument "-5s" for "--limit-time" flag: must not be negative'),
        (
            ["--target", "some", "i"],
            'invalid argument "some" for "--target" flag: expecting "any" or "all", not "some"',
        ),
        (
            ["-l", 'a"b', "-l", '"a" b', "i"],
            'invalid argument ""a" b" for "-l, --labels" flag: \',\' expected after \'"\'',
        ),
        (["--gone", "x", "i"], "flag --gone is not supported: it went"),
        (["--api-port=x", "i"], 'invalid argument "x" for "--api-port" flag: must be a whole number'),
        (["--api-port=65536", "i"], 'invalid argument "65536" for "--api-port" flag: must be from 0 to 65535'),
        (["--count=1_0", "i"], 'invalid argument "1_0" for "--count" flag: must be a whole number'),
        (
            ["--count=9223372036854775808", "i"],
            'invalid argument "9223372036854775808" for "--count" flag: must be 9223372036854775807 or less',
        ),
        ([], "requires at least 1 arg(s), only received 0"),
    ],
)
def test_refusals_name_flag_value_and_reason(args, message):
    assert refusal(*args) == message


@pytest.mark.parametrize(
    ("takes", "args", "message"),
    [
        (NOTHING, ["x"], 'unknown command "x" for "bacalhau run"'),
        (ONE, [], "accepts 1 arg(s), received 0"),
        (ONE, ["a", "b"], "accepts 1 arg(s), received 2"),
        (MAYBE, ["a", "b"], "accepts at most 1 arg(s), received 2"),
    ],
)
def test_how_many_positionals(takes, args, message):
    assert refusal(*args, takes=takes) == message


def test_an_unknown_command():
    with pytest.raises(BadRequest, match='unknown command "nope" for "bacalhau"'):
        tree.main(["nope"], prog_name="bacalhau", standalone_mode=False)


def test_a_group_alone_prints_its_help(capsys):
    tree.main([], prog_name="bacalhau", standalone_mode=False)
    printed = capsys.readouterr()
    assert "run  Run" in printed.out and "--api-port" in printed.out
    assert printed.err == ""
