"""What may come next on a command line, and the shells that ask."""

import shutil
import subprocess
import sys

import pytest

from bacalhau.cli.frame.completing import next_words
from bacalhau.cli.frame.program import run, tree


def words(*args):
    return [item.value for item in next_words(tree, list(args[:-1]), args[-1])]


def test_commands_flags_and_values():
    assert words("jo") == ["job"]
    assert words("job", "exec") == ["executions"]
    assert {"list", "run", "rerun", "stop"} <= set(words("job", ""))
    assert words("job", "list", "--order") == ["--order-by", "--order-reversed"]
    assert "--api-host" in words("job", "list", "--")
    assert words("--api-host", "h", "job", "list", "--output", "") == ["table", "csv", "json", "yaml"]
    assert words("docker", "run", "--target", "a") == ["any", "all"]
    assert "--wait-timeout-secs" not in words("docker", "run", "--")


@pytest.mark.parametrize("args", [("job", "run", ""), ("create", "x"), ("job", "get", "--output-dir", "")])
def test_where_a_file_is_meant(args):
    assert [item.type for item in next_words(tree, list(args[:-1]), args[-1])] == ["file"]


def test_no_guesses():
    assert words("job", "describe", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_scripts(shell, capsys):
    assert run(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "_BACALHAU_COMPLETE" in out and f"{shell}_complete" in out


@pytest.mark.parametrize(
    ("shell", "given", "answer"),
    [
        ("bash", {"COMP_WORDS": "bacalhau\njob\nver", "COMP_CWORD": "2"}, "plain,versions\n"),
        (
            "fish",
            {"COMP_WORDS": "bacalhau job ver", "COMP_CWORD": "ver"},
            "plain,versions\tList the versions of a job\n",
        ),
        (
            "powershell",
            {"COMP_WORDS": "bacalhau\njob\nver", "COMP_CWORD": "ver"},
            "versions\tList the versions of a job\n",
        ),
    ],
)
def test_a_shell_asks(shell, given, answer, monkeypatch, capsys):
    for name, value in ({"_BACALHAU_COMPLETE": f"{shell}_complete"} | given).items():
        monkeypatch.setenv(name, value)
    assert run([]) == 0
    assert capsys.readouterr().out == answer


def test_bash_itself(tmp_path):
    """The script in a real bash, with this program found by its name."""
    (tmp_path / "bacalhau").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from bacalhau.cli.main import main; main()" "$@"\n'
    )
    (tmp_path / "bacalhau").chmod(0o755)
    script = (
        "source <(bacalhau completion bash); COMP_WORDS=(bacalhau job des); COMP_CWORD=2; _bacalhau_completion"
        ' bacalhau; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "describe", done.stderr
