"""Clients that are too old for today's API. They would read its answers wrongly, so they are told to update.

The older generation's own API, at addresses of its own, is not touched by this.
"""

import re
from typing import NamedTuple

from bacalhau.lib.wire import Model, always

HEADER = b"x-bacalhau-git-version"
OLDEST = (1, 4, 0)
_WITH_HISTORY_OF_STATES = (1, 5, 0)  # clients before it read from an event the states that today's leave out
_CHECKED = ("/api/v1/orchestrator", "/api/v1/agent", "/api/v1/auth")
_DEVELOPMENT = ("", "v0.0.0", "v0.0.0-xxxxxxx")
_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")


class Unreadable(Model):
    """Not the usual envelope: clients of all ages know this one."""

    error: str = always(factory=str)


class Outdated(Model):
    error: str = always(factory=lambda: "Client version is outdated. Update your client")
    min_version: str = always(factory=lambda: ".".join(map(str, OLDEST)))
    client_version: str = always(factory=str)
    server_version: str = always(factory=str)


class Refusal(NamedTuple):
    status: int
    body: Unreadable | Outdated


def decide_refusal(version: str, path: str, server: str) -> Refusal | None:
    """Return the answer to a client that is too old, None to all others. A client that names no version, or that of a
    development build, is let in.
    """
    if version in _DEVELOPMENT or not any(path == place or path.startswith(place + "/") for place in _CHECKED):
        return None
    found = _parse(version)
    if found is None:
        return Refusal(400, Unreadable(error=f"Invalid client version {version}"))
    if found < (*OLDEST, True):
        return Refusal(403, Outdated(client_version=version.removeprefix("v"), server_version=server.removeprefix("v")))
    return None


def needs_states_in_history(version: str) -> bool:
    found = None if version in _DEVELOPMENT else _parse(version)
    return found is not None and found < (*_WITH_HISTORY_OF_STATES, False)


def _parse(text: str) -> tuple[int, int, int, bool] | None:
    """The last says whether it is a release: candidates come before it."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch = (int(part or 0) for part in match.group(1, 2, 3))
    return major, minor, patch, match[4] is None
