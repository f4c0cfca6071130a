"""`bacalhau node`: how its commands are called."""

from bacalhau.cli.options import DOCUMENT, TABLE, listed, one_of, paging, runs, text
from bacalhau.cli.pflag import ONE_ARG, Command, Entry, Flag, Tree

list_command = Command(
    "list",
    callback=runs("bacalhau.cli.node_show:list_nodes"),
    help="List the nodes of the network.",
    params=[
        listed("--show", default=("labels", "capacity"), metavar="GROUP", help="Which columns: labels, version, features, capacity (default labels,capacity)."),
        text("--labels", default="", metavar="SELECTOR", help="Only nodes whose labels match."),
        Flag("--filter-approval", type=one_of("approved", "pending", "rejected"), metavar="STATE", help="approved, pending or rejected."),
        Flag("--filter-status", type=one_of("connected", "disconnected"), metavar="STATE", help="connected or disconnected."),
        *paging(0, "id, type, available_cpu, available_memory, available_disk, available_gpu, status"),
        *TABLE,
    ],
)

describe = Command(
    "describe",
    callback=runs("bacalhau.cli.node_show:describe"),
    arity=ONE_ARG,
    operands="ID",
    help="Show everything about a node.",
    params=DOCUMENT,
)

node = Tree(
    "node",
    {
        "describe": Entry("bacalhau.cli.node:describe", "Show everything about a node"),
        "list": Entry("bacalhau.cli.node:list_command", "List the nodes of the network"),
    },
    help="List and describe the nodes of the network.",
)
