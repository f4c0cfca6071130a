"""Ports for servers of tests, which are told their port before they listen on it.

All tests of this machine take them from one row, one after the other: so a port is nobody else's while its server
starts, and while it is down to be started again. The row is out of the ranges that the system and our own programs
take ports from.
"""

import fcntl
import tempfile
from pathlib import Path

from bacalhau.lib.ports import is_free

FIRST, LAST = 10_000, 14_999
_LAST_GIVEN = Path(tempfile.gettempdir()) / "bacalhau-tests-last-port"


def free_port(count: int = 1) -> int:
    """Take the next port of the row that nobody listens on, or the first of `count` that follow one another."""
    with _LAST_GIVEN.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = _following(int(file.read() or LAST), count)
        while not all(is_free("0.0.0.0", port + number) for number in range(count)):
            port = _following(port, count)
        file.truncate(0)
        file.write(str(port + count - 1))
        return port


def _following(port: int, count: int) -> int:
    return port + 1 if port + count <= LAST else FIRST
