"""A child process that does not outlive us: it dies with its parent where the system can do that, and what an earlier
run left behind on the same folder is ended before a new one starts.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bacalhau.lib.errors import Unavailable

_PR_SET_PDEATHSIG = 1
# Loaded here because nothing may be loaded between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_GONE_LIMIT = 5.0


def dying_with_parent() -> Callable[[], None] | None:
    """Return a function that lets the child end with its parent, to be run before it becomes the program; None where
    the system has nothing of the kind.
    """
    if _libc is None:
        return None
    prctl, parent = _libc.prctl, os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def note_child(pid_file: Path, pid: int) -> None:
    pid_file.write_text(f"{pid} {os.getpid()}\n")


def end_leftover(pid_file: Path, mark: str) -> None:
    """End the child an earlier run left; `mark` must be in its command line.

    Raises Unavailable while its parent still lives.
    """
    try:
        pid, parent = (int(word) for word in pid_file.read_text().split())
    except (OSError, ValueError):
        return
    found = _look_up(pid)
    if found is None or mark not in found[1]:
        return
    if found[0] == parent and parent != os.getpid():
        raise Unavailable(
            f"{pid_file.parent} is in use by process {parent}",
            hint="Stop the other orchestrator, or choose another data directory.",
        )
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + _GONE_LIMIT
    while (again := _look_up(pid)) is not None and mark in again[1]:
        if time.monotonic() > end:
            raise Unavailable(f"process {pid}, left by an earlier run, cannot be ended")
        time.sleep(0.01)


def _look_up(pid: int) -> tuple[int, str] | None:
    """(parent, command line) of a process, or None."""
    proc = Path(f"/proc/{pid}")
    if not Path("/proc/self").exists():
        shown = subprocess.run(
            ["ps", "-o", "ppid=,command=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
        parent, _, command = shown.stdout.strip().partition(" ")
        return (int(parent), command) if parent else None
    try:
        command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        # The name in brackets may hold anything, so count from its closing bracket.
        return int((proc / "stat").read_text().rpartition(")")[2].split()[1]), command
    except (OSError, ValueError):
        return None
