"""The files that this process opens for reading."""

import os
import sys
from contextlib import contextmanager

_listeners: list[list[str]] = []


def _note(event, args):
    if event == "open" and _listeners and _is_file(args[0]) and args[2] & os.O_ACCMODE == os.O_RDONLY:
        for listener in _listeners:
            listener.append(os.fsdecode(args[0]))


def _is_file(name):
    return isinstance(name, (str, bytes, os.PathLike)) and os.path.isfile(name)


sys.addaudithook(_note)


class Opened:
    """`paths` are those of the files below some folders, as often as each was opened, also by another link to it."""

    def __init__(self):
        self._noted = []
        self.folders = []

    @property
    def paths(self):
        return sorted(path for path in self._noted if any(path.startswith(f"{folder}/") for folder in self.folders))


@contextmanager
def opened_below(*folders):
    """Note what is opened for reading below these folders until the end of the block."""
    opened = Opened()
    opened.folders = [str(folder) for folder in folders]
    _listeners.append(opened._noted)
    try:
        yield opened
    finally:
        _listeners.remove(opened._noted)
