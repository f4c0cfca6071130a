"""Flags as pflag reads them, and the texts scripts know."""

import click
import pytest

from bacalhau.cli.frame.options import Call, duration, listed, many, number, one_of, refused, runs, switch, text
from bacalhau.cli.frame.pflag import MAYBE_ARG, NO_ARGS, ONE_ARG, SOME_ARGS, Command, Entry, Flag, Tree
from bacalhau.lib.errors import BadRequest

seen: list[Call] = []


def remember(call: Call) -> None:
    seen.append(call)


def command(arity=SOME_ARGS):
    params = [
        many("-i", "--input", help=""),
        listed("-l", "--labels", help=""),
        switch("--wait", default=True, help=""),
        switch("-f", "--follow", help=""),
        text("-p", "--publisher", default="ipfs", help=""),
        number("--count", least=1, help=""),
        Flag("--limit-time", type=duration, default=None),
        Flag("--target", type=one_of("any", "all", says='expecting "any" or "all", not "{}"')),
        refused("--gone", why="it went"),
    ]
    return Command("run", callback=runs("tests.unit.cli.test_pflag:remember"), arity=arity, params=params)


run = command()
tree = Tree("bacalhau", {"run": Entry("tests.unit.cli.test_pflag:run", "Run")}, help="Root")


def read(*args, arity=SOME_ARGS):
    command(arity).main(list(args), prog_name="bacalhau run", standalone_mode=False)
    return seen[-1]


def refusal(*args, arity=SOME_ARGS):
    with pytest.raises(click.UsageError) as caught:
        command(arity).main(list(args), prog_name="bacalhau run", standalone_mode=False)
    return caught.value.message


def test_flags_stand_anywhere_up_to_the_dashes():
    call = read("-i", "a", "image", "-l", "x", "--", "ls", "-l")
    assert call.args == ["image", "ls", "-l"]
    assert call.flags["input"] == ("a",)
    assert call.flags["labels"] == ("x",)


@pytest.mark.parametrize("form", [["-p", "s3"], ["-p=s3"], ["-ps3"], ["--publisher", "s3"], ["--publisher=s3"]])
def test_every_form_of_a_value(form):
    assert read(*form, "image").flags["publisher"] == "s3"


def test_a_value_keeps_its_equals_signs():
    assert read("-i=src=a,dst=b", "image").flags["input"] == ("src=a,dst=b",)


@pytest.mark.parametrize(
    ("form", "expected"), [("--wait", True), ("--wait=true", True), ("--wait=false", False), ("--wait=0", False)]
)
def test_booleans(form, expected):
    assert read(form, "image").flags["wait"] is expected


def test_a_boolean_does_not_eat_the_next_token():
    assert read("--wait", "false").args == ["false"]


def test_letters_together():
    call = read("-fps3", "image")
    assert (call.flags["follow"], call.flags["publisher"]) == (True, "s3")
    assert read("-f=false", "image").flags["follow"] is False


def test_slices_split_at_commas_and_arrays_do_not():
    call = read("-l", 'a,"b,c"', "-l", "d", "-i", "x,y", "image")
    assert call.flags["labels"] == ("a", "b,c", "d")
    assert call.flags["input"] == ("x,y",)


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
        (
            ["--target", "some", "i"],
            'invalid argument "some" for "--target" flag: expecting "any" or "all", not "some"',
        ),
        (
            ["-l", 'a"b', "-l", '"a" b', "i"],
            'invalid argument ""a" b" for "-l, --labels" flag: \',\' expected after \'"\'',
        ),
        (["--gone", "x", "i"], "flag --gone is not supported: it went"),
        (["--api-port=x", "i"], 'invalid argument "x" for "--api-port" flag: \'x\' is not a valid integer.'),
        ([], "requires at least 1 arg(s), only received 0"),
    ],
)
def test_refusals_name_flag_value_and_reason(args, message):
    assert refusal(*args) == message


@pytest.mark.parametrize(
    ("arity", "args", "message"),
    [
        (NO_ARGS, ["x"], 'unknown command "x" for "bacalhau run"'),
        (ONE_ARG, [], "accepts 1 arg(s), received 0"),
        (ONE_ARG, ["a", "b"], "accepts 1 arg(s), received 2"),
        (MAYBE_ARG, ["a", "b"], "accepts at most 1 arg(s), received 2"),
    ],
)
def test_how_many_positionals(arity, args, message):
    assert refusal(*args, arity=arity) == message


def test_an_unknown_command():
    with pytest.raises(BadRequest, match='unknown command "nope" for "bacalhau"'):
        tree.main(["nope"], prog_name="bacalhau", standalone_mode=False)


def test_a_group_alone_prints_its_help(capsys):
    tree.main([], prog_name="bacalhau", standalone_mode=False)
    printed = capsys.readouterr()
    assert "run  Run" in printed.out and "--api-port" in printed.out
    assert printed.err == ""
