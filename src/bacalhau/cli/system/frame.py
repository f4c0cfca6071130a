"""The screen of `bacalhau top`, drawn from what the server told: nodes with their load, the queue by reason, and the
executions that nodes have.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bacalhau.cli.output.block import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Piece, Size, bar, one_line
from bacalhau.cli.output.live import show_time
from bacalhau.cli.output.width import filled, middle_out
from bacalhau.lib.clock import from_rfc3339
from bacalhau.lib.ids import short_id
from bacalhau.lib.units import show_bytes
from bacalhau.models.node.node import CONNECTED, NodeState
from bacalhau.models.wire.activity import ActivityResponse, LiveExecution, QueuedJobs

Line = list[Piece]
_BAR = 8
_ID = 10
_AMOUNTS = 22
_SORTS: dict[str, Callable[[LiveExecution], str]] = {
    "newest": lambda e: "",  # as the server gives them
    "node": lambda e: e.node_id,
    "job": lambda e: e.job_name or e.job_id,
    "stage": lambda e: e.stage,
}
_KEYS = "q quit   s sort   up, down scroll"


class Shot(NamedTuple):
    """The state of the network at one moment."""

    url: str
    nodes: Sequence[NodeState]
    activity: ActivityResponse
    now: datetime


class Viewing(NamedTuple):
    """The choice of the viewer: how executions are sorted, and how many of them are above the screen. `trouble` is why
    nothing new comes.
    """

    sort: str = "newest"
    above: int = 0
    trouble: str = ""

    def after(self, key: str, rows: int) -> "Viewing":
        """Return the choice after a key was pressed; other keys change nothing."""
        if key == "s":
            names = [*_SORTS]
            return self._replace(sort=names[(names.index(self.sort) + 1) % len(names)], above=0)
        step = {"up": -1, "down": 1}.get(key, 0)
        return self._replace(above=max(0, min(self.above + step, rows - 1)))


def frame(shot: Shot, viewing: Viewing, size: Size) -> list[Line]:
    """Draw the whole screen: as many nodes as a third of it holds, the largest part of the queue, then executions."""
    nodes = [_node(node) for node in sorted(shot.nodes, key=lambda n: (-n.info.compute.running_executions, _id(n)))]
    queue = [_queued(jobs, shot.now, size.columns) for jobs in shot.activity.queue]
    head = [_head(shot, viewing, size.columns), [], _NODES, *_some(nodes, max(size.lines // 3, 3), "nodes")]
    waiting = _some(queue, max(size.lines // 6, 2), "reasons") or [[Piece("nothing waits", DIM)]]
    head += [[], _title("QUEUE"), *waiting]
    head += [[], _title(f"EXECUTIONS, by {viewing.sort}" if viewing.sort != "newest" else "EXECUTIONS, newest first")]
    room = max(size.lines - len(head) - 1, 1)
    return [*head, *_executions(shot, viewing, room, size.columns)]


def with_keys(lines: list[Line], size: Size) -> list[Line]:
    """Add the keys as the last line of a screen."""
    shown = lines[: size.lines - 1]
    return [*shown, *[[]] * (size.lines - 1 - len(shown)), [Piece(_KEYS, DIM)]]


def _head(shot: Shot, viewing: Viewing, columns: int) -> Line:
    told = shot.activity
    connected = sum(node.connection == CONNECTED for node in shot.nodes)
    waiting = sum(jobs.jobs for jobs in told.queue)
    counts = f"{connected} of {len(shot.nodes)} nodes  {told.live} executions  {waiting} jobs wait"
    if viewing.trouble:
        return [Piece("bacalhau  ", BOLD), Piece(one_line(viewing.trouble), RED)]
    clock = f"{shot.now:%H:%M:%S} UTC"
    left = filled(f"{counts}  {one_line(shot.url)}", columns - len(clock) - len("bacalhau  ") - 1)
    return [Piece("bacalhau  ", BOLD), Piece(f"{left} "), Piece(clock, DIM)]


def _title(text: str) -> Line:
    return [Piece(text, BOLD)]


def _some(lines: list[Line], most: int, what: str) -> list[Line]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], [Piece(f"and {len(lines) - most + 1} more {what}", DIM)]]


_NODES = _title(f"{'NODES':{_ID}}  {'STATUS':12}  {'CPU IN USE':18}  {'MEMORY FREE':18}  {'GPU':5} RUNS")


def _id(node: NodeState) -> str:
    return node.info.node_id


def _node(node: NodeState) -> Line:
    offer = node.info.compute
    free, total = offer.available_capacity, offer.max_capacity
    used = max(total.cpu - free.cpu, 0)
    status, colour = _status(node)
    name = Piece(f"{filled(middle_out(one_line(short_id(_id(node))), _ID), _ID)}  ")
    if not total.cpu:
        return [name, Piece(f"{filled(status, 12)}  ", colour), Piece("runs no jobs", DIM)]
    share = (total.memory - free.memory) / total.memory if total.memory else 0
    return [
        name,
        Piece(f"{filled(status, 12)}  ", colour),
        *bar(used / total.cpu, _BAR, sys.stdout),
        Piece(f" {filled(f'{used:.1f}/{total.cpu:g}', 9)}  "),
        *bar(share, _BAR, sys.stdout),
        Piece(f" {filled(show_bytes(free.memory), 9)}  "),
        Piece(f"{filled(f'{total.gpu - free.gpu}/{total.gpu}' if total.gpu else '-', 5)} {offer.running_executions}"),
    ]


def _status(node: NodeState) -> tuple[str, str]:
    if node.connection_state.status != CONNECTED:
        return "away", RED
    if node.drain:
        return ("drained" if node.drain.drained else "draining"), YELLOW
    if node.cordoned:
        return "cordoned", YELLOW
    return (node.membership.lower(), YELLOW) if node.membership != "APPROVED" else ("connected", GREEN)


def _queued(jobs: QueuedJobs, now: datetime, columns: int) -> Line:
    age = f"oldest {_age(jobs.oldest, now)}"
    room = max(columns - len(age) - 10, 10)
    return [Piece(f"{jobs.jobs:6}  ", YELLOW), Piece(f"{filled(one_line(jobs.reason), room)}  "), Piece(age, DIM)]


def _executions(shot: Shot, viewing: Viewing, room: int, columns: int) -> list[Line]:
    rows = shot.activity.executions
    if viewing.sort != "newest":
        rows = tuple(sorted(rows, key=_SORTS[viewing.sort]))
    above = max(0, min(viewing.above, len(rows) - room))
    amounts = any(row.bytes_total for row in rows)
    shown = [_execution(row, shot.now, columns, _AMOUNTS if amounts else 0) for row in rows[above : above + room]]
    return shown or [[Piece("nothing runs", DIM)]]


def _execution(row: LiveExecution, now: datetime, columns: int, amounts: int) -> Line:
    """Draw an execution; `amounts` is the width of its bytes."""
    age = _age(row.created, now)
    told = f"{show_bytes(row.bytes_done)} of {show_bytes(row.bytes_total)}" if row.bytes_total else ""
    room = max(columns - 3 * (_ID + 2) - amounts - len(age) - 1, 8)
    return [
        Piece(f"{filled(one_line(short_id(row.id)), _ID)}  "),
        Piece(f"{filled(one_line(short_id(row.node_id)), _ID)}  ", DIM),
        Piece(f"{filled(one_line(row.stage).lower(), _ID)}  ", CYAN),
        Piece(filled(told, amounts)),
        Piece(f"{filled(middle_out(one_line(_name(row)), room), room)} "),
        Piece(age, DIM),
    ]


def _name(row: LiveExecution) -> str:
    return short_id(row.job_id) if row.job_name in ("", row.job_id) else row.job_name


def _age(since: str, now: datetime) -> str:
    """Write how long ago a time of RFC 3339 was."""
    return show_time(max((now - read_time(since)).total_seconds(), 0)) if since else ""


def read_time(text: str) -> datetime:
    """Read the UTC time that a server of ours writes, to the microsecond."""
    return datetime.fromtimestamp(from_rfc3339(text) / 1e9, UTC)
