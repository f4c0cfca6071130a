"""`bacalhau top`: nodes, queue and live executions on one screen, read again every two seconds."""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.say import say, terminal_width
from bacalhau.cli.output.block import Block, Size, is_live
from bacalhau.cli.system.asking import ask_activity
from bacalhau.cli.system.commands import Top
from bacalhau.cli.system.frame import Shot, Viewing, frame, read_time, with_keys
from bacalhau.client.client import AsyncClient
from bacalhau.client.waiting import patiently
from bacalhau.lib.aio import background
from bacalhau.lib.errors import NotFound, Unavailable

_EVERY = 2.0  # seconds between two questions to the server
_MOST = 500  # executions that are asked for
_ONCE = Size(80, 100_000)
_ARROWS = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down"}


def top(call: Call[Top]) -> int:
    is_watched = is_live(sys.stdout) and sys.stdin.isatty() and not call.flags.once
    asyncio.run(_watch(call) if is_watched else _once(call))
    return 0


async def _once(call: Call[Top]) -> None:
    async with connect(call.settings) as client:
        shot = await _read(client, call.flags.namespace)
    columns = max(terminal_width(sys.stdout), _ONCE.columns)
    for line in frame(shot, Viewing(), _ONCE._replace(columns=columns)):
        say("".join(piece.text for piece in line).rstrip())


async def _read(client: AsyncClient, namespace: str) -> Shot:
    try:
        activity = await ask_activity(client, namespace, _MOST)
    except NotFound as e:
        raise NotFound(
            f"the server at {client.endpoint.url} does not tell what it does at the moment",
            hint="`bacalhau top` needs a server of this program, of today's version; see `bacalhau version`",
        ) from e
    return Shot(client.endpoint.url, await client.nodes(), activity, read_time(activity.time))


async def _watch(call: Call[Top]) -> None:
    screen = _Screen(Block(sys.stdout, full=True))
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGWINCH, screen.draw)
        with _keys() as keys:
            async with connect(call.settings) as client, background(_read_on(client, call.flags.namespace, screen)):
                while (key := await keys.get()) != "q":
                    screen.press(key)
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        screen.block.close()


async def _read_on(client: AsyncClient, namespace: str, screen: "_Screen") -> None:
    while True:
        screen.show(await patiently(lambda: _read(client, namespace), screen.lose))
        await asyncio.sleep(_EVERY)


class _Screen:
    """The screen of one viewer: the latest that was read, and what they chose to see of it."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._viewing = Viewing()
        self._shot: Shot | None = None

    def show(self, shot: Shot) -> None:
        self._shot, self._viewing = shot, self._viewing._replace(trouble="")
        self.draw()

    def lose(self, error: Unavailable) -> None:
        """Say that the server went away; what was read last stays in sight."""
        self._viewing = self._viewing._replace(trouble=f"{error.message}; asking again")
        self.draw()

    def press(self, key: str) -> None:
        self._viewing = self._viewing.after(key, len(self._shot.activity.executions) if self._shot else 0)
        self.draw()

    def draw(self) -> None:
        if self._shot:
            size = self.block.size
            self.block.draw(with_keys(frame(self._shot, self._viewing, size), size))


@contextmanager
def _keys() -> Iterator["asyncio.Queue[str]"]:
    """Give the keys as they are pressed, without Enter and without an echo; Ctrl-C stays what it is."""
    keys: asyncio.Queue[str] = asyncio.Queue()
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(stdin)

    def read() -> None:
        pressed = os.read(stdin, 64)
        if not pressed:  # the terminal is gone
            keys.put_nowait("q")
        for key in [_ARROWS[pressed]] if pressed in _ARROWS else pressed.decode(errors="ignore"):
            keys.put_nowait(key)

    tty.setcbreak(stdin)
    loop.add_reader(stdin, read)
    try:
        yield keys
    finally:
        loop.remove_reader(stdin)
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
