"""`bacalhau node`: how its commands are called."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.frame.flags import Flags, listed, switch, text, value
from bacalhau.cli.frame.reading import OneOf, amount, duration
from bacalhau.cli.output.flags import Document, OrderedPage, Page, Table, order

_NODE = Operands("ID", 1, 1)


class _Which(Flags):
    show: tuple[str, ...] = listed(
        "--show",
        default=("labels", "capacity"),
        metavar="GROUP",
        help="Which columns: labels, version, features, capacity (default labels,capacity).",
    )
    labels: str = text("--labels", metavar="SELECTOR", help="Only nodes whose labels match.")
    filter_approval: str | None = value(
        "--filter-approval",
        read=OneOf("approved", "pending", "rejected"),
        default=None,
        metavar="STATE",
        help="approved, pending or rejected.",
    )
    filter_status: str | None = value(
        "--filter-status",
        read=OneOf("connected", "disconnected"),
        default=None,
        metavar="STATE",
        help="connected or disconnected.",
    )


class ListNodes(_Which, OrderedPage, Table, section="Paging"):
    """Flags of `node list`."""

    order_by: str = order("id, type, available_cpu, available_memory, available_disk, available_gpu, status")


class Change(Flags):
    """A decision about a node."""

    message: str = text("-m", "--message", metavar="TEXT", help="Why; kept with the node.")


class Drain(Change):
    """The decision to empty a node; the deadline is in seconds."""

    deadline: float | None = value(
        "--deadline",
        read=duration,
        default=None,
        metavar="DURATION",
        help="How long they may take, as 10m; then they are placed elsewhere.",
    )


class ListCache(Page, Table, section="Paging"):
    """Flags of `node cache list`."""


class PruneCache(Document):
    """The choice of what goes; one is needed."""

    all: bool = switch("--all", help="Everything that no task uses.")
    size: int | None = value(
        "--size",
        read=amount,
        default=None,
        metavar="SIZE",
        help="The oldest, until SIZE is left.",
    )
    older_than: float | None = value(
        "--older-than", read=duration, default=None, metavar="DURATION", help="What was not used for so long, as 72h."
    )


_cache = Tree(
    "cache",
    [
        Command(
            "list",
            ListCache,
            "bacalhau.cli.node.cache:list_cache",
            help="List the inputs that the node behind the API keeps.",
        ),
        Command(
            "prune",
            PruneCache,
            "bacalhau.cli.node.cache:prune",
            help="Remove inputs that no task uses from the node behind the API.",
        ),
    ],
    help="Show and remove the inputs that a node keeps for the next task. Name the API of the node itself.",
)


def _change(name: str, flags: type[Change], help: str, brief: str = "") -> Command:
    return Command(name, flags, f"bacalhau.cli.node.change:{name}", _NODE, help=help, brief=brief)


node = Tree(
    "node",
    [
        Command("list", ListNodes, "bacalhau.cli.node.show:list_nodes", help="List the nodes of the network."),
        Command("describe", Document, "bacalhau.cli.node.show:describe", _NODE, help="Show everything about a node."),
        _change("approve", Change, "Let a node join."),
        _change("reject", Change, "Keep a node out; what it runs is placed elsewhere."),
        _change("delete", Change, "Forget a node."),
        _change("cordon", Change, "Give a node no new work; what it runs goes on."),
        _change("uncordon", Change, "Give a node work again; ends a drain too."),
        _change(
            "drain",
            Drain,
            "Give a node no new work and move services and daemons elsewhere; "
            "batch and ops executions may finish there.",
            "Move the work off a node",
        ),
        Command(
            "labels",
            Flags,
            "bacalhau.cli.node.change:labels",
            Operands("ID KEY=VALUE|KEY-...", 2, None),
            help="Set labels of a node, or take them away (KEY-), while it runs.",
            brief="Set labels of a node, or take them away",
        ),
        _cache,
    ],
    help="List the nodes of the network and decide about them.",
)
