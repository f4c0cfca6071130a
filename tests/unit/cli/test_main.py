"""How a command line ends: exit codes, streams, and what `--help` may load."""

import json
import subprocess
import sys

import click
import pytest

from bacalhau.cli import main, report
from bacalhau.cli.main import ROOT, run
from bacalhau.cli.pflag import Tree, resolve
from bacalhau.lib.errors import BadRequest


def commands(entries, path=()):
    for name, entry in entries.items():
        found = resolve(entry.target)
        yield [*path, name]
        if isinstance(found, Tree):
            yield from commands(found._entries, (*path, name))


EVERY = list(commands(ROOT))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_help(path, capsys):
    assert run([*path, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: bacalhau {' '.join(path)}")
    assert "Global flags:" in printed.out and printed.err == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope"], 'unknown command "nope" for "bacalhau"'),
        (["--nope"], "unknown flag: --nope"),
        (["job", "nope"], 'unknown command "nope" for "bacalhau job"'),
        (["docker", "run"], "requires at least 1 arg(s), only received 0"),
        (["version", "x"], 'unknown command "x" for "bacalhau version"'),
        (["list", "--sort-by", "zz"], 'invalid argument "zz" for "--sort-by" flag: must be one of "id", or "created_at"'),
    ],
)
def test_a_mistake_is_one_line_on_stderr(args, message, capsys):
    assert run(args) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"Error: {message}\n")


def test_help_of_a_command(capsys):
    assert run(["help", "docker", "run"]) == 0
    via_help = capsys.readouterr().out
    assert run(["docker", "run", "--help"]) == 0
    assert capsys.readouterr().out == via_help


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (click.Abort(), 130), (BadRequest("no", hint="yes"), 1), (OSError(2, "gone", "f"), 1)]
)
def test_what_a_command_raises_becomes_an_exit_code(raised, code, monkeypatch, capsys):
    def work():
        raise raised

    monkeypatch.setattr(main, "tree", click.Command("x", callback=work))
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


@pytest.mark.parametrize("args", [["--help"], ["docker", "run", "--help"], ["job", "list", "--help"], ["serve", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(args):
    code = f"import sys, json, bacalhau.cli.main as m; m.run({args!r}); print('\\n' + json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"msgspec", "httpx", "asyncio", "rich", "yaml", "aiohttp", "botocore", "websockets", "litestar", "bacalhau.models.job"}
    assert heavy & set(json.loads(printed.splitlines()[-1])) == set()


def test_the_package_itself_is_cheap():
    code = "import sys, bacalhau; print('msgspec' in sys.modules, bacalhau.Client.__name__, 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False Client True\n"
