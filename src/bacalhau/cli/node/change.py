"""`node approve`, `reject`, `delete`, `cordon`, `uncordon`, `drain` and `labels`: an administrator's decisions about a
node.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say
from bacalhau.cli.node.commands import Change, Drain
from bacalhau.lib.errors import BacalhauError, Unavailable


def approve(call: Call[Change]) -> int:
    return _change(call, "approve", call.flags.message)


def reject(call: Call[Change]) -> int:
    return _change(call, "reject", call.flags.message)


def delete(call: Call[Change]) -> int:
    return _change(call, "delete", call.flags.message)


def cordon(call: Call[Change]) -> int:
    return _change(call, "cordon", call.flags.message)


def uncordon(call: Call[Change]) -> int:
    return _change(call, "uncordon", call.flags.message)


def drain(call: Call[Drain]) -> int:
    seconds = call.flags.deadline
    return _change(call, "drain", call.flags.message, deadline=None if seconds is None else round(seconds))


def labels(call: Call[Flags]) -> int:
    """Exit code 0 when every change was made; none is made when one cannot be read."""
    return _change(call, "labels", labels=label_changes(call.args[1:]))


def label_changes(texts: list[str]) -> dict[str, str | None]:
    """`KEY=VALUE` sets a label, `KEY-` takes it away."""
    changes: dict[str, str | None] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or (not equals and not text.endswith("-")):
            raise click.UsageError(f'invalid label "{text}": write KEY=VALUE to set a label, KEY- to take it away')
        changes[key if equals else text.removesuffix("-")] = value if equals else None
    return changes


def _change(
    call: Call[Flags],
    action: str,
    message: str = "",
    *,
    deadline: int | None = None,
    labels: Mapping[str, str | None] | None = None,
) -> int:
    async def change() -> None:
        async with connect(call.settings) as client:
            await client.change_node(call.args[0], action, message=message, deadline=deadline, labels=labels)

    _named(call, action, change())
    say("Ok")
    return 0


def _named(call: Call[Flags], action: str, change: Any) -> None:
    try:
        asyncio.run(change)
    except Unavailable:
        raise
    except BacalhauError as e:
        raise type(e)(f"Failed to {_VERBS.get(action, action)} node {call.args[0]}: {e.message}", hint=e.hint) from e


_VERBS = {"labels": "label"}
