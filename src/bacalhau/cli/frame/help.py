"""`bacalhau help [command]`: the same text as `bacalhau command --help`."""

import click

from bacalhau.cli.frame.command import CONTEXT, Call, Command, Operands
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say


def show_help(call: Call[Flags]) -> int:
    """Print the help of the command whose path was given. Raises UsageError when there is none."""
    at = click.get_current_context().find_root()
    found: click.Command = at.command
    for name in call.args:
        if not isinstance(found, click.Group):
            raise click.UsageError(f'unknown command "{name}" for "{at.command_path}"')
        _, command, _ = found.resolve_command(at, [name])
        found = command or found
        at = click.Context(found, parent=at, info_name=name, **CONTEXT)
    say(found.get_help(at))
    return 0


help_command = Command(
    "help",
    Flags,
    "bacalhau.cli.frame.help:show_help",
    Operands("[COMMAND]...", 0, None),
    help="Show the help of a command.",
)
