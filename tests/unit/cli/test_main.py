"""How a command line ends: exit codes, streams, and what `--help` may load."""

import csv
import inspect
import json
import re
import subprocess
import sys
import typing

import click
import pytest
import yaml

from bacalhau.cli.frame import program, report
from bacalhau.cli.frame.command import Call, Command, Tree
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.pflag import shown_name
from bacalhau.cli.frame.program import run, tree
from bacalhau.lib.errors import BadRequest


def commands(group, path=()):
    """Every command and group, with its path."""
    for name in group.briefs:
        found = group.get_command(click.Context(group), name)
        yield [*path, name], found
        if isinstance(found, Tree):
            yield from commands(found, (*path, name))


EVERY = dict((" ".join(path), command) for path, command in commands(tree))
LEAVES = [command for command in EVERY.values() if isinstance(command, Command)]


@pytest.mark.parametrize("path", [name.split() for name in EVERY], ids=" ".join)
def test_every_command_has_help(path, capsys):
    assert run([*path, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: bacalhau {' '.join(path)}")
    assert "Global flags:" in printed.out and printed.err == ""


@pytest.mark.parametrize("command", LEAVES, ids=[f"{found.target}-{found.name}" for found in LEAVES])
def test_every_command_has_a_function_that_takes_its_flags(command):
    """The target is a text, so the type checker cannot see what is called."""
    function = resolve(command.target)
    hints = typing.get_type_hints(function)
    (parameter,) = inspect.signature(function).parameters.values()
    call = hints[parameter.name]
    assert typing.get_origin(call) is Call and hints["return"] is int
    assert issubclass(command.flags, typing.get_args(call))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope"], 'unknown command "nope" for "bacalhau"\nHint:  did you mean `bacalhau node`?'),
        (
            ["jobs", "list"],
            'unknown command "jobs" for "bacalhau"\nHint:  did you mean `bacalhau job`?',
        ),
        (["node", "lst"], 'unknown command "lst" for "bacalhau node"\nHint:  did you mean `bacalhau node list`?'),
        (
            ["docker", "x"],
            'unknown command "x" for "bacalhau docker"\nHint:  `bacalhau docker --help` lists the commands',
        ),
        (
            ["help", "jop"],
            'unknown command "jop" for "bacalhau"\nHint:  did you mean `bacalhau top` or `bacalhau job`?',
        ),
        (
            ["describe", ""],
            "the job id is empty\nHint:  `bacalhau job list` shows the ids; in a script: the variable holds nothing",
        ),
        (
            ["job", "stop", "--quiet", " "],
            "the job id is empty\nHint:  `bacalhau job list` shows the ids; in a script: the variable holds nothing",
        ),
        (
            ["node", "describe", ""],
            "the node id is empty\nHint:  `bacalhau node list` shows the ids; in a script: the variable holds nothing",
        ),
        (["--nope"], "unknown flag: --nope\nHint:  --help lists the flags"),
        (["job", "logs", "--tial", "x"], "unknown flag: --tial\nHint:  did you mean --tail?"),
        (["job", "logs", "-z", "x"], "unknown shorthand flag: 'z' in -z\nHint:  --help lists the flags"),
        (
            ["job", "logs"],
            "accepts 1 arg(s), received 0\nHint:  write it as `bacalhau job logs [flags] ID|NAME`",
        ),
        (["job", "nope"], 'unknown command "nope" for "bacalhau job"\nHint:  `bacalhau job --help` lists the commands'),
        (
            ["docker", "run"],
            "requires at least 1 arg(s), only received 0\n"
            "Hint:  write it as `bacalhau docker run [flags] IMAGE[:TAG|@DIGEST] [--] [COMMAND] [ARG]...`",
        ),
        (
            ["version", "x"],
            'unknown command "x" for "bacalhau version"\nHint:  write it as `bacalhau version [flags]`',
        ),
        (
            ["list", "--sort-by", "zz"],
            'invalid argument "zz" for "--sort-by" flag: must be one of "id", or "created_at"',
        ),
    ],
)
def test_a_mistake_is_one_line_on_stderr(args, message, capsys):
    assert run(args) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"Error: {message}\n")


TYPED = {
    (flag.opts[-1], getattr(flag.type, "name", "")): (path.split(), flag)
    for path, command in EVERY.items()
    if isinstance(command, Command)
    for flag in command.get_params(click.Context(command))
    if isinstance(flag, click.Option) and not isinstance(flag.type, click.types.StringParamType)
}


@pytest.mark.parametrize("path, flag", TYPED.values(), ids=[f"{name}-{kind}" for name, kind in TYPED])
@pytest.mark.parametrize("wrong", ["x", "²", "-1_0", "1" * 5000], ids=["word", "power", "underscore", "long"])
def test_a_wrong_value_has_one_form_of_error_whatever_the_flag(path, flag, wrong, capsys):
    assert run([*path, f"{flag.opts[-1]}={wrong}", "--", "operand"]) == 1
    printed = capsys.readouterr()
    beginning = f'Error: invalid argument "{wrong}" for "{shown_name(flag)}" flag: '
    assert printed.out == "" and printed.err.startswith(beginning)
    assert re.match("must (not )?be |should be |expecting |a duration needs ", printed.err.removeprefix(beginning))


def test_help_of_a_command(capsys):
    assert run(["help", "docker", "run"]) == 0
    via_help = capsys.readouterr().out
    assert run(["docker", "run", "--help"]) == 0
    assert capsys.readouterr().out == via_help


@pytest.mark.parametrize(
    ("raised", "code"),
    [(KeyboardInterrupt(), 130), (click.Abort(), 130), (BadRequest("no", hint="yes"), 1), (OSError(2, "gone", "f"), 1)],
)
def test_what_a_command_raises_becomes_an_exit_code(raised, code, monkeypatch, capsys):
    def work():
        raise raised

    monkeypatch.setattr(program, "tree", click.Command("x", callback=work))
    assert run([]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_the_hint_is_the_second_line(capsys):
    report.say_error("cause", "cure")
    report.say_error("error downloading job: cause")
    assert capsys.readouterr().err == "Error: cause\nHint:  cure\nerror downloading job: cause\n"


def test_a_crash_shows_its_trace_only_when_asked(monkeypatch, capsys):
    try:
        raise ValueError("odd")
    except ValueError as e:
        monkeypatch.delenv("DEBUG", raising=False)
        report.crashed(ValueError, e, e.__traceback__)
        assert capsys.readouterr().err.startswith("Error: ValueError: odd\nHint:  ")
        monkeypatch.setenv("DEBUG", "true")
        report.crashed(ValueError, e, e.__traceback__)
        assert "Traceback" in capsys.readouterr().err


def test_the_configuration_as_a_file_is_whole_and_reads_back(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path))
    assert run(["config", "list", "--output", "json"]) == 0
    keys = {row["Key"] for row in json.loads(capsys.readouterr().out)}
    assert run(["config", "list", "--output", "yaml", "-c", "API.Port=5"]) == 0
    (tmp_path / "config.yaml").write_text(text := capsys.readouterr().out)
    assert keys == set(leaves(yaml.safe_load(text), keys))
    assert run(["config", "list", "--output", "yaml"]) == 0
    assert capsys.readouterr().out == text and "\n  Port: 5\n" in text


def leaves(tree, keys, path=""):
    for name, value in tree.items():
        here = f"{path}{name}"
        yield from [here] if here in keys or not isinstance(value, dict) else leaves(value, keys, f"{here}.")


def test_values_that_hold_values_are_shown_as_json(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path))
    assert run(["config", "list", "--output", "csv", "-c", "Labels=a=1,b=2"]) == 0
    rows = {row[0]: row[1] for row in csv.reader(capsys.readouterr().out.splitlines())}
    assert (rows["API.Auth.Methods"], rows["Labels"]) == ('{"ClientKey":{"Type":"challenge"}}', "a=1,b=2")


@pytest.mark.parametrize(
    "args", [["--help"], ["docker", "run", "--help"], ["job", "list", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_loads_nothing_heavy(args):
    code = f"import sys, json; from bacalhau.cli.frame.program import run; run({args!r})"
    code += "; print('\\n' + json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {
        "msgspec",
        "httpx",
        "asyncio",
        "rich",
        "yaml",
        "aiohttp",
        "botocore",
        "websockets",
        "litestar",
        "bacalhau.models.job.job",
    }
    assert heavy & set(json.loads(printed.splitlines()[-1])) == set()


def test_the_package_itself_is_cheap():
    code = "import sys, bacalhau; print('msgspec' in sys.modules, bacalhau.Client.__name__, 'msgspec' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False Client True\n"
    )
