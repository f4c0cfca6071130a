"""Places in the life of a job where a test may end this process at once, to prove what a crash at that very moment
leaves behind.

`BACALHAU_FAILPOINTS="node.published=kill"` kills when the place is first reached, `=kill:3` the third time; several are
separated by commas. Without the variable, reaching a place is one look at an empty map.
"""

import os
import signal
from collections.abc import Mapping
from enum import StrEnum

from bacalhau.lib.errors import BadRequest

VARIABLE = "BACALHAU_FAILPOINTS"


class Point(StrEnum):
    """Every place; each is reached in one line of the code."""

    SUBMITTING = "orchestrator.submitting"
    SUBMITTED = "orchestrator.submitted"
    LISTED = "orchestrator.listed"
    PLANNED = "orchestrator.planned"
    PLACED = "orchestrator.placed"
    SENDING = "orchestrator.sending"
    SENT = "orchestrator.sent"
    FORGOTTEN = "orchestrator.forgotten"
    JOINING = "orchestrator.joining"
    JOINED = "orchestrator.joined"
    LOADED = "orchestrator.loaded"
    HEARD = "orchestrator.heard"
    NOTED = "orchestrator.noted"
    STOPPING = "orchestrator.stopping"
    STOPPED = "orchestrator.stopped"
    NODE_ASKED = "node.asked"
    NODE_ACCEPTED = "node.accepted"
    NODE_RESUMING = "node.resuming"
    NODE_STAGING = "node.staging"
    NODE_STAGED = "node.staged"
    NODE_PREPARED = "node.prepared"
    NODE_CREATED = "node.container-created"
    NODE_STARTED = "node.container-started"
    NODE_ENDED = "node.container-ended"
    NODE_RAN = "node.ran"
    NODE_PUBLISHING = "node.publishing"
    NODE_PUBLISHED = "node.published"
    OUTPUTS_KEPT = "outputs.kept"
    OUTPUTS_WANTED = "outputs.wanted"
    NODE_REPORTED = "node.reported"
    NODE_TELLING = "node.telling"
    NODE_TOLD = "node.told"
    NODE_FORGOTTEN = "node.forgotten"
    NODE_TIDIED = "node.tidied"
    NODE_CANCELLED = "node.cancelled"


_armed: dict[Point, int] = {}


def arm_failpoints(environment: Mapping[str, str]) -> None:
    """Arm the places that the environment names. Raises BadRequest naming variable, value and what was expected."""
    _armed.clear()
    for text in filter(None, environment.get(VARIABLE, "").split(",")):
        name, _, action = text.partition("=")
        word, colon, count = action.partition(":")
        if name not in tuple(Point) or word != "kill" or (colon and not (count.isdecimal() and int(count))):
            known = ", ".join(Point)
            raise BadRequest(f'{VARIABLE} expects NAME=kill or NAME=kill:N, received: "{text}"', hint=f"Names: {known}")
        _armed[Point(name)] = int(count or 1)


def reach(point: Point) -> None:
    """Ends this process, as `kill -9` does, when the place is armed and it is its turn."""
    if not _armed or point not in _armed:
        return
    _armed[point] -= 1
    if not _armed[point]:
        os.kill(os.getpid(), signal.SIGKILL)
