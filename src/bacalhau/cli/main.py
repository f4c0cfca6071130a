"""The command tree and the way every command ends: exit code 0, or one message on stderr and exit code 1.

A command's module is imported when the command is meant, what it needs to work when it runs: `--help` stays quick.
"""

import os
import sys
from types import ModuleType
from typing import cast

import click

from bacalhau.cli.frame import report
from bacalhau.cli.frame.dotenv import load_dotenv
from bacalhau.cli.frame.pflag import Entry, Tree, resolve
from bacalhau.cli.frame.streams import open_streams, utf8_args
from bacalhau.lib.errors import BacalhauError

# httpx loads rich and pygments for a command line of its own; named absent, it does without.
sys.modules.setdefault("httpx._main", cast(ModuleType, None))

ROOT = {
    "agent": Entry("bacalhau.cli.agent.commands:agent", "Ask the node behind the API about itself"),
    "auth": Entry("bacalhau.cli.auth.commands:auth", "Sign in, and show as whom this client speaks"),
    "cancel": Entry("bacalhau.cli.seed.commands:cancel", "Cancel a job"),
    "completion": Entry(
        "bacalhau.cli.frame.completion:completion", "Print a script that completes commands in your shell"
    ),
    "config": Entry("bacalhau.cli.config.commands:config", "Show and change the configuration"),
    "create": Entry("bacalhau.cli.seed.commands:create", "Submit a job from a file or stdin"),
    "demo": Entry("bacalhau.cli.serve.commands:demo", "Run the tutorial on this machine, with its own S3 and network"),
    "describe": Entry("bacalhau.cli.seed.commands:describe", "Show everything about a job"),
    "devstack": Entry("bacalhau.cli.serve.commands:devstack", "Start a small network on this machine"),
    "docker": Entry("bacalhau.cli.job.docker:docker", "Run containers"),
    "get": Entry("bacalhau.cli.seed.commands:get", "Download the results of a job"),
    "help": Entry("bacalhau.cli.frame.help:help_command", "Show the help of a command"),
    "id": Entry("bacalhau.cli.seed.commands:id_command", "Show the identity of this client"),
    "job": Entry("bacalhau.cli.job.commands:job", "Submit, list, describe and stop jobs"),
    "list": Entry("bacalhau.cli.seed.commands:list_command", "List jobs"),
    "logs": Entry("bacalhau.cli.seed.commands:logs", "Show the output of a job"),
    "node": Entry("bacalhau.cli.node.commands:node", "List the nodes of the network and decide about them"),
    "profile": Entry("bacalhau.cli.profile.commands:profile", "Name servers and choose among them"),
    "serve": Entry("bacalhau.cli.serve.commands:serve", "Start a node: orchestrator, compute, or both"),
    "validate": Entry("bacalhau.cli.seed.commands:validate", "Check a job file without submitting it"),
    "version": Entry("bacalhau.cli.seed.commands:version", "Show the versions of client and server"),
    "wasm": Entry("bacalhau.cli.job.wasm:wasm", "Run WebAssembly modules"),
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
            return int(resolve("bacalhau.cli.frame.completing:complete")(tree, os.environ[_COMPLETION]))
        code = tree.main(utf8_args(args), prog_name="bacalhau", standalone_mode=False)
        sys.stdout.flush()
    except (BacalhauError, click.ClickException, OSError) as e:
        return report.failed(e)
    except (KeyboardInterrupt, click.Abort):
        return 130
    return code if isinstance(code, int) else 0
