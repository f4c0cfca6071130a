"""`bacalhau help [command]`: the same text as `bacalhau command --help`."""

import click

from bacalhau.cli.frame.pflag import CONTEXT, Arity, Command


@click.command("help", cls=Command, arity=Arity(0, None), operands="[COMMAND]...", help="Show the help of a command.")
@click.pass_context
def help_command(ctx: click.Context) -> None:
    found: click.Command = ctx.find_root().command
    at = ctx.find_root()
    for name in ctx.args:
        if not isinstance(found, click.Group):
            raise click.UsageError(f'unknown command "{name}" for "{at.command_path}"')
        _, command, _ = found.resolve_command(at, [name])
        found = command or found
        at = click.Context(found, parent=at, info_name=name, **CONTEXT)
    click.echo(found.get_help(at))
