"""The page of all commands, made from the command line's own tree."""

from collections.abc import Iterator

import click

from bacalhau.cli.frame import settings
from bacalhau.cli.frame.program import tree
from generate.tables import code, table

HEAD = """# Commands

This page is made from the program itself: it says what `bacalhau COMMAND --help` says.

## Flags of every command

They may stand before or behind the command's name.

"""


def page() -> str:
    """Return the page: the flags that all commands take, then every command with its own."""
    context = click.Context(tree, info_name="bacalhau")
    shared = table(["flag", "meaning"], _flags(settings.FLAGS, context))
    return HEAD + shared + "".join(_section(command, at) for command, at in _walk(tree, context))


def _walk(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command below a group with its context, groups before what is in them."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, parent=context, info_name=name)
        yield command, inner
        if isinstance(command, click.Group):
            yield from _walk(command, inner)


def _section(command: click.Command, context: click.Context) -> str:
    path = context.command_path
    help_text = (command.help or "").strip().replace("<", "&lt;")
    level = "##" if isinstance(command, click.Group) or path.count(" ") == 1 else "###"
    parts = [f"\n{level} {path}\n", f"{help_text}\n"]
    if isinstance(command, click.Group):
        listed = [f"[{name}](#{path.replace(' ', '-')}-{name})" for name in command.list_commands(context)]
        return "\n".join([*parts, f"Commands: {', '.join(listed)}.\n"])
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts.append(f"```text\n{usage}\n```\n")
    own = [flag for flag in command.get_params(context) if flag not in settings.FLAGS]
    if rows := [*_flags(own, context)]:
        parts.append(table(["flag", "meaning"], rows))
    return "\n".join(parts)


def _flags(params: list[click.Parameter], context: click.Context) -> Iterator[tuple[str, str]]:
    for param in params:
        record = param.get_help_record(context)
        if record is not None:
            yield code(record[0]), record[1]
