"""A command in a real pseudo-terminal, and its screen as a person would see it; also as a picture.

The emulator is pyte's, which obeys what a VT100 obeys. The picture is an SVG that rich draws from the screen's cells.
"""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.support.until import until

_DARK = "181a1f e06c75 7ec46e e0b668 61a0ec be84dc 56bec4 bec4ce"
_BRIGHT = "6a707c f07880 96d682 f0c878 78b4fa d296f0 6ed2d8 f0f4fa"


def _colours(text: str) -> list[tuple[int, int, int]]:
    return [(int(each[:2], 16), int(each[2:4], 16), int(each[4:], 16)) for each in text.split()]


_THEME = TerminalTheme((24, 26, 31), (216, 220, 228), _colours(_DARK), _colours(_BRIGHT))
# rich's own drawing fetches a font from the web; this one is any machine's.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


class _Emulator(pyte.Screen):
    """pyte's screen, and the second one that programs of a whole screen use."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self._first: Any = None

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if 1049 in modes and kwargs.get("private"):
            self._first = ({at: dict(line) for at, line in self.buffer.items()}, (self.cursor.x, self.cursor.y))
            self.erase_in_display(2)
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if 1049 in modes and kwargs.get("private") and self._first:
            lines, (self.cursor.x, self.cursor.y) = self._first
            self.erase_in_display(2)
            for at, line in lines.items():
                self.buffer[at].update(line)


class Terminal:
    """The screen of a running command. `frames` are all screens that differ, oldest
    first, `bytes` all that was written."""

    def __init__(self, control: int, child: subprocess.Popen, columns: int, lines: int) -> None:
        self.child = child
        self.frames: list[str] = []
        self.bytes = b""
        self._control = control
        self._screen = _Emulator(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._control, 65536):
                with self._lock:
                    self.bytes += data
                    self._stream.feed(data)
                    text = self._text()
                    if not self.frames or self.frames[-1] != text:
                        self.frames.append(text)

    def _text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def text(self) -> str:
        """The screen as it is now, without the blanks at its edges."""
        with self._lock:
            return self._text()

    @property
    def cursor_is_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def until(self, wanted: str | Callable[[str], Any], seconds: float = 60) -> str:
        """Wait until the screen holds a text, or is as a function says; return the screen."""
        is_so = wanted if callable(wanted) else lambda screen: wanted in screen

        seen = [""]

        def found() -> bool:
            seen[0] = self.text
            return bool(is_so(seen[0]))

        try:
            until(found, str(wanted), seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; the screen:\n{seen[0]}") from e
        return seen[0]

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
        _set_size(self._control, columns, lines)

    def type(self, keys: str) -> None:
        os.write(self._control, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def end(self, seconds: float = 60) -> int:
        """Wait until the command has ended and all that it wrote is on the screen; return the exit code."""
        code = self.child.wait(seconds)
        self._thread.join(10)
        return code

    def svg(self, title: str = "") -> str:
        """Draw the screen as a picture, without the empty lines at its end."""
        with self._lock:
            return draw_svg(self._screen, title)


def draw_svg(screen: pyte.Screen, title: str = "") -> str:
    """Draw a screen of pyte as an SVG that needs nothing from the web."""
    height = max((at + 1 for at, line in enumerate(screen.display) if line.strip()), default=1)
    with open(os.devnull, "w") as nowhere:
        console = Console(width=screen.columns, record=True, file=nowhere, force_terminal=True, legacy_windows=False)
        for at in range(height):
            line = Text(no_wrap=True)
            for column in range(screen.columns):
                cell = screen.buffer[at][column]
                line.append(cell.data, _style(cell))
            line.rstrip()
            console.print(line, soft_wrap=True)
        return console.export_svg(title=title, theme=_THEME, code_format=_FORMAT, unique_id="terminal")


def _style(cell: Any) -> Style:
    def colour(name: str) -> str | None:
        if name == "default":
            return None
        known = name.replace("brown", "yellow").replace("bright", "bright_")
        return f"#{name}" if len(name) == 6 and all(c in "0123456789abcdef" for c in name) else known

    return Style(color=colour(cell.fg), bgcolor=colour(cell.bg), bold=cell.bold, reverse=cell.reverse)


def _set_size(control: int, columns: int, lines: int) -> None:
    fcntl.ioctl(control, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def in_terminal(
    command: list[str], environment: dict[str, str], columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    """Run a command in a terminal of its own. What still runs at the end is killed."""
    control, side = pty.openpty()
    _set_size(control, columns, lines)
    child = subprocess.Popen(
        command,
        stdin=side,
        stdout=side,
        stderr=side,
        env={"TERM": "xterm-256color", "LANG": "C.UTF-8"} | environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(side)
    try:
        yield Terminal(control, child, columns, lines)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        os.close(control)
