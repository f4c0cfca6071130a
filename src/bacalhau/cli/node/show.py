"""`node list` and `node describe`: who can run jobs, and how much of each is free."""

import asyncio

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.pflag import invalid_argument
from bacalhau.cli.node.commands import ListNodes
from bacalhau.cli.output.flags import Document
from bacalhau.cli.output.render import id_column, say_more, show_document, show_items
from bacalhau.cli.output.table import Column
from bacalhau.cli.spec.labels import check_labels
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.api import ListNodesResponse

_ALWAYS = (
    id_column("id", lambda n: n.info.node_id),
    Column("type", lambda n: n.info.node_type),
    Column("approval", lambda n: n.membership),
    Column("status", lambda n: _status(n)),
)


def _status(node: NodeState) -> str:
    """Return the connection state, with an administrator's decision that keeps work away."""
    if node.drain:
        return f"{node.connection_state.status} {'DRAINED' if node.drain.drained else 'DRAINING'}"
    return f"{node.connection_state.status} CORDONED" if node.cordoned else node.connection_state.status


def _capacity(name: str, most: int, show: "str") -> Column:
    def cell(node: NodeState) -> str:
        free, total = node.info.compute.available_capacity, node.info.compute.max_capacity
        if total == Resources():
            return ""
        return f"{_amount(getattr(free, show), show)} / {_amount(getattr(total, show), show)}"

    return Column(name, cell, most)


def _amount(value: float, kind: str) -> str:
    if kind == "cpu":
        return f"{value:.1f}"
    return str(value) if kind == "gpu" else human_bytes(value)


def human_bytes(count: float) -> str:
    """Powers of 1000, a decimal only below 10: `7.5 GB`, `16 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.1f} {unit}" if count < 10 and unit != "B" else f"{count:.0f} {unit}"
        count /= 1000
    return ""


def _names(values: tuple[str, ...] | None) -> str:
    return " ".join(sorted(values or ()))


_GROUPS: dict[str, tuple[Column, ...]] = {
    "labels": (Column("labels", lambda n: " ".join(f"{k}={v}" for k, v in sorted((n.info.labels or {}).items())), 50),),
    "version": (
        Column("version", lambda n: n.info.bacalhau_version.git_version),
        Column("architecture", lambda n: n.info.bacalhau_version.goarch),
        Column("os", lambda n: n.info.bacalhau_version.goos),
    ),
    "features": (
        Column("engines", lambda n: _names(n.info.compute.execution_engines), 7),
        Column("inputs from", lambda n: _names(n.info.compute.storage_sources), 15),
        Column("outputs", lambda n: _names(n.info.compute.publishers), 10),
    ),
    "capacity": (
        _capacity("cpu", 6, "cpu"),
        _capacity("memory", 10, "memory"),
        _capacity("disk", 11, "disk"),
        _capacity("gpu", 4, "gpu"),
    ),
}


def list_nodes(call: Call[ListNodes]) -> int:
    check_labels(call.flags.labels)
    wanted = call.flags.show
    for group in wanted:
        if group not in _GROUPS:
            raise invalid_argument(group, "--show", f"must be of {', '.join(_GROUPS)}")
    columns = [*_ALWAYS, *(column for group, found in _GROUPS.items() if group in wanted for column in found)]
    page = asyncio.run(_find(call))
    show_items(call.flags, columns, page.nodes)
    say_more(call, call.flags.output, page.next_token)
    return 0


async def _find(call: Call[ListNodes]) -> ListNodesResponse:
    flags = call.flags
    query = {
        "labels": flags.labels,
        "limit": flags.limit,
        "next_token": flags.next_token,
        "order_by": flags.order_by,
        "reverse": flags.order_reversed,
        "filter-approval": (flags.filter_approval or "").upper(),
        "filter-status": (flags.filter_status or "").upper(),
    }
    async with connect(call.settings) as client:
        return await client.list_nodes(**query)


def describe(call: Call[Document]) -> int:
    async def read() -> NodeState:
        async with connect(call.settings) as client:
            return await client.node(call.args[0])

    show_document(call.flags, asyncio.run(read()), "yaml")
    return 0
