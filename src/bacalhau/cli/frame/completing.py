"""Completion of commands, flags and values, for the scripts that `completion` prints. The scripts are Click's."""

import os
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from bacalhau.cli.frame.command import Call, Command, Tree
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say

VARIABLE = "_BACALHAU_COMPLETE"
_POWERSHELL = """Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:COMP_WORDS = ($commandAst.CommandElements | ForEach-Object { $_.ToString() }) -join "`n"
    $env:COMP_CWORD = $wordToComplete
    $env:%(complete_var)s = "powershell_complete"
    %(prog_name)s | Where-Object { $_ } | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        $told = if ($help) { $help } else { $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $told)
    }
    Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:%(complete_var)s
}
"""


class _Completions(ShellComplete):
    """The next words by our own tree: Click's walk would run the reading of flags, which refuses what is
    not finished.
    """

    def source(self) -> str:
        """Return the script without checking the shell's version: it may be meant for another machine."""
        return ShellComplete.source(self)

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        return next_words(self.cli, args, incomplete)


class _Bash(_Completions, BashComplete):
    name = "bash"


class _Zsh(_Completions, ZshComplete):
    name = "zsh"


class _Fish(_Completions, FishComplete):
    name = "fish"


class _Powershell(_Completions):
    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = os.environ["COMP_WORDS"].split("\n")[1:], os.environ["COMP_CWORD"]
        return words[:-1] if incomplete and words and words[-1] == incomplete else words, incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        return f"{item.value}\t{item.help or ''}" if item.type == "plain" else ""


_SHELLS: Mapping[str, type[_Completions]] = {kind.name: kind for kind in (_Bash, _Zsh, _Fish, _Powershell)}


def bash(call: Call[Flags]) -> int:
    return _say_script("bash")


def zsh(call: Call[Flags]) -> int:
    return _say_script("zsh")


def fish(call: Call[Flags]) -> int:
    return _say_script("fish")


def powershell(call: Call[Flags]) -> int:
    return _say_script("powershell")


def _say_script(shell: str) -> int:
    root = click.get_current_context().find_root().command
    say(_SHELLS[shell](root, {}, "bacalhau", VARIABLE).source())
    return 0


def complete(root: click.Command, instruction: str) -> int:
    """Answer a script: `instruction` is `bash_complete` and the like, the words are in the environment."""
    shell = _SHELLS.get(instruction.removesuffix("_complete"))
    if shell is None:
        return 1
    say(shell(root, {}, "bacalhau", VARIABLE).complete())
    return 0


def next_words(root: click.Command, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
    """Names of commands, flags, values of flags that have few, or `file` where a file is meant."""
    command = root
    for word in args:
        if isinstance(command, Tree):
            command = command.get_command(click.Context(command), word) or command
    params = command.get_params(click.Context(command))
    flag = _waiting(params, args)
    if flag is not None:
        words = getattr(getattr(flag.type, "func", None), "words", ())
        return [CompletionItem(word) for word in words if word.startswith(incomplete)] or [
            CompletionItem(incomplete, type="file")
        ]
    if incomplete.startswith("-"):
        return [
            CompletionItem(name, help=flag.help)
            for flag in _shown(params)
            for name in flag.opts
            if name.startswith(incomplete)
        ]
    if isinstance(command, Tree):
        return [CompletionItem(name, help=text) for name, text in command.briefs.items() if name.startswith(incomplete)]
    takes_file = isinstance(command, Command) and "FILE" in command.takes.shown
    return [CompletionItem(incomplete, type="file")] if takes_file else []


def _shown(params: list[Any]) -> list[click.Option]:
    return [param for param in params if isinstance(param, click.Option) and not param.hidden]


def _waiting(params: list[Any], args: list[str]) -> click.Option | None:
    """The flag whose value comes next."""
    last = args[-1] if args else ""
    return next((flag for flag in _shown(params) if last in flag.opts and not flag.is_flag), None)
