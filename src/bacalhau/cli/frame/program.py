"""The command tree and the way every command ends: exit code 0, one message on stderr and exit code 1, or 130 and 143
by Ctrl-C and SIGTERM.

A command's module is imported when the command is meant, what it needs to work when it runs: `--help` stays quick.
"""

import os
import sys
from types import ModuleType
from typing import cast

import click

from bacalhau.cli.frame import interrupts, report
from bacalhau.cli.frame.command import Entry, Tree
from bacalhau.cli.frame.dotenv import load_dotenv
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.streams import open_streams, utf8_args
from bacalhau.lib.errors import BacalhauError

# httpx loads rich and pygments for a command line of its own; named absent, it does without.
sys.modules.setdefault("httpx._main", cast(ModuleType, None))

ROOT = [
    Entry("agent", "bacalhau.cli.agent.commands:agent", "Ask the node behind the API about itself"),
    Entry("auth", "bacalhau.cli.auth.commands:auth", "Sign in, and show as whom this client speaks"),
    Entry("cancel", "bacalhau.cli.job.older:cancel", "Cancel a job"),
    Entry(
        "completion", "bacalhau.cli.frame.completion:completion", "Print a script that completes commands in your shell"
    ),
    Entry("config", "bacalhau.cli.config.commands:config", "Show and change the configuration"),
    Entry("create", "bacalhau.cli.job.older:create", "Submit a job from a file or stdin"),
    Entry("demo", "bacalhau.cli.serve.commands:demo", "Run the tutorial on this machine, with its own S3 and network"),
    Entry("describe", "bacalhau.cli.seed.commands:describe", "Show everything about a job"),
    Entry("devstack", "bacalhau.cli.serve.commands:devstack", "Start a small network on this machine"),
    Entry("docker", "bacalhau.cli.job.docker:docker", "Run containers"),
    Entry("doctor", "bacalhau.cli.system.commands:doctor", "Check this machine and the server"),
    Entry("get", "bacalhau.cli.job.older:get", "Download the results of a job"),
    Entry("help", "bacalhau.cli.frame.help:help_command", "Show the help of a command"),
    Entry("id", "bacalhau.cli.seed.commands:id_command", "Show the identity of this client"),
    Entry("job", "bacalhau.cli.job.commands:job", "Submit, list, describe and stop jobs"),
    Entry("list", "bacalhau.cli.seed.commands:list_command", "List jobs"),
    Entry("logs", "bacalhau.cli.job.older:logs", "Show the output of a job"),
    Entry("node", "bacalhau.cli.node.commands:node", "List the nodes of the network and decide about them"),
    Entry("profile", "bacalhau.cli.profile.commands:profile", "Name servers and choose among them"),
    Entry("serve", "bacalhau.cli.serve.commands:serve", "Start a node: orchestrator, compute, or both"),
    Entry("top", "bacalhau.cli.system.commands:top", "Show what the network does at the moment"),
    Entry("validate", "bacalhau.cli.job.older:validate", "Check a job file without submitting it"),
    Entry("version", "bacalhau.cli.agent.commands:version", "Show the versions of client and server"),
    Entry("wasm", "bacalhau.cli.job.wasm:wasm", "Run WebAssembly modules"),
]

_COMPLETION = "_BACALHAU_COMPLETE"
tree = Tree("bacalhau", ROOT, help="Compute over data")


def start() -> int:
    """Run the command line of this process; return the exit code."""
    sys.excepthook = report.crashed
    open_streams()
    interrupts.listen()
    return run(sys.argv[1:])


def run(args: list[str]) -> int:
    """Run one command line; return the exit code."""
    try:
        load_dotenv(os.environ)
        if os.environ.get(_COMPLETION):
            return int(resolve("bacalhau.cli.frame.completing:complete")(tree, os.environ[_COMPLETION]))
        code = tree.main(utf8_args(args), prog_name="bacalhau", standalone_mode=False)
        sys.stdout.flush()
    except (BacalhauError, click.ClickException, OSError) as e:
        return report.failed(e)
    except (KeyboardInterrupt, click.Abort):
        return interrupts.exit_code()
    return code if isinstance(code, int) else 0
