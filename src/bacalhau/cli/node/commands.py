"""`bacalhau node`: how its commands are called."""

from bacalhau.cli.frame.options import DOCUMENT, TABLE, duration, listed, one_of, paging, runs, text
from bacalhau.cli.frame.pflag import ONE_ARG, Arity, Command, Entry, Flag, Tree

list_command = Command(
    "list",
    callback=runs("bacalhau.cli.node.show:list_nodes"),
    help="List the nodes of the network.",
    params=[
        listed(
            "--show",
            default=("labels", "capacity"),
            metavar="GROUP",
            help="Which columns: labels, version, features, capacity (default labels,capacity).",
        ),
        text("--labels", default="", metavar="SELECTOR", help="Only nodes whose labels match."),
        Flag(
            "--filter-approval",
            type=one_of("approved", "pending", "rejected"),
            metavar="STATE",
            help="approved, pending or rejected.",
        ),
        Flag(
            "--filter-status",
            type=one_of("connected", "disconnected"),
            metavar="STATE",
            help="connected or disconnected.",
        ),
        *paging(0, "id, type, available_cpu, available_memory, available_disk, available_gpu, status"),
        *TABLE,
    ],
)

describe = Command(
    "describe",
    callback=runs("bacalhau.cli.node.show:describe"),
    arity=ONE_ARG,
    operands="ID",
    help="Show everything about a node.",
    params=DOCUMENT,
)

MESSAGE = text("-m", "--message", default="", metavar="TEXT", help="Why; kept with the node.")


def _change(name: str, help: str, *more: Flag) -> Command:
    return Command(
        name,
        callback=runs(f"bacalhau.cli.node.change:{name}"),
        arity=ONE_ARG,
        operands="ID",
        help=help,
        params=[MESSAGE, *more],
    )


approve = _change("approve", "Let a node join.")
reject = _change("reject", "Keep a node out; what it runs is placed elsewhere.")
delete = _change("delete", "Forget a node.")
cordon = _change("cordon", "Give a node no new work; what it runs goes on.")
uncordon = _change("uncordon", "Give a node work again; ends a drain too.")
drain = _change(
    "drain",
    "Give a node no new work and move services and daemons elsewhere; batch and ops executions may finish there.",
    Flag(
        "--deadline",
        type=duration,
        default=None,
        metavar="DURATION",
        help="How long they may take, as 10m; then they are placed elsewhere.",
    ),
)
labels = Command(
    "labels",
    callback=runs("bacalhau.cli.node.change:labels"),
    arity=Arity(2, None),
    operands="ID KEY=VALUE|KEY-...",
    help="Set labels of a node, or take them away (KEY-), while it runs.",
)

node = Tree(
    "node",
    {
        "approve": Entry("bacalhau.cli.node.commands:approve", "Let a node join"),
        "cordon": Entry("bacalhau.cli.node.commands:cordon", "Give a node no new work"),
        "delete": Entry("bacalhau.cli.node.commands:delete", "Forget a node"),
        "describe": Entry("bacalhau.cli.node.commands:describe", "Show everything about a node"),
        "drain": Entry("bacalhau.cli.node.commands:drain", "Move the work off a node"),
        "labels": Entry("bacalhau.cli.node.commands:labels", "Set labels of a node, or take them away"),
        "list": Entry("bacalhau.cli.node.commands:list_command", "List the nodes of the network"),
        "reject": Entry("bacalhau.cli.node.commands:reject", "Keep a node out"),
        "uncordon": Entry("bacalhau.cli.node.commands:uncordon", "Give a node work again"),
    },
    help="List the nodes of the network and decide about them.",
)
