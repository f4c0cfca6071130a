"""The command tree and the way every command ends: exit code 0, or one message on stderr and exit code 1.

A command's module is imported when the command is meant, what it needs to work when it runs: `--help` stays quick.
"""

import os
import sys
from types import ModuleType
from typing import cast

import click

from bacalhau.cli import report
from bacalhau.cli.dotenv import load_dotenv
from bacalhau.cli.pflag import Entry, Tree, resolve
from bacalhau.cli.streams import open_streams, utf8_args
from bacalhau.lib.errors import BacalhauError

# httpx loads rich and pygments for a command line of its own; named absent, it does without.
sys.modules.setdefault("httpx._main", cast(ModuleType, None))

ROOT = {
    "agent": Entry("bacalhau.cli.agent:agent", "Ask the node behind the API about itself"),
    "auth": Entry("bacalhau.cli.auth:auth", "Sign in, and show as whom this client speaks"),
    "cancel": Entry("bacalhau.cli.seed:cancel", "Cancel a job"),
    "completion": Entry("bacalhau.cli.completion:completion", "Print a script that completes commands in your shell"),
    "config": Entry("bacalhau.cli.config:config", "Show and change the configuration"),
    "create": Entry("bacalhau.cli.seed:create", "Submit a job from a file or stdin"),
    "demo": Entry("bacalhau.cli.serve:demo", "Run the tutorial on this machine, with its own S3 and network"),
    "describe": Entry("bacalhau.cli.seed:describe", "Show everything about a job"),
    "devstack": Entry("bacalhau.cli.serve:devstack", "Start a small network on this machine"),
    "docker": Entry("bacalhau.cli.docker:docker", "Run containers"),
    "get": Entry("bacalhau.cli.seed:get", "Download the results of a job"),
    "help": Entry("bacalhau.cli.help:help_command", "Show the help of a command"),
    "id": Entry("bacalhau.cli.seed:id_command", "Show the identity of this client"),
    "job": Entry("bacalhau.cli.job:job", "Submit, list, describe and stop jobs"),
    "list": Entry("bacalhau.cli.seed:list_command", "List jobs"),
    "logs": Entry("bacalhau.cli.seed:logs", "Show the output of a job"),
    "node": Entry("bacalhau.cli.node:node", "List the nodes of the network and decide about them"),
    "profile": Entry("bacalhau.cli.profile:profile", "Name servers and choose among them"),
    "serve": Entry("bacalhau.cli.serve:serve", "Start a node: orchestrator, compute, or both"),
    "validate": Entry("bacalhau.cli.seed:validate", "Check a job file without submitting it"),
    "version": Entry("bacalhau.cli.seed:version", "Show the versions of client and server"),
    "wasm": Entry("bacalhau.cli.wasm:wasm", "Run WebAssembly modules"),
}

_COMPLETION = "_BACALHAU_COMPLETE"
tree = Tree("bacalhau", ROOT, help="Compute over data")


def main() -> None:
    sys.excepthook = report.crashed
    open_streams()
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command line; the exit code."""
    load_dotenv(os.environ)
    try:
        if os.environ.get(_COMPLETION):
            return int(resolve("bacalhau.cli.completing:complete")(tree, os.environ[_COMPLETION]))
        code = tree.main(utf8_args(args), prog_name="bacalhau", standalone_mode=False)
        sys.stdout.flush()
    except (BacalhauError, click.ClickException, OSError) as e:
        return report.failed(e)
    except (KeyboardInterrupt, click.Abort):
        return 130
    return code if isinstance(code, int) else 0
