"""`bacalhau top` and `bacalhau doctor`: how these commands are called."""

from bacalhau.cli.frame.command import Command
from bacalhau.cli.frame.flags import Flags, switch, text
from bacalhau.cli.output.flags import Document


class Top(Flags):
    """Flags of `top`."""

    namespace: str = text("--namespace", help="Only jobs of this namespace (default: all).")
    once: bool = switch("--once", help="Print one screen, whole, and end; so it is on a pipe.")


top = Command(
    "top",
    Top,
    "bacalhau.cli.system.top:top",
    help="Show nodes, queue and running executions on one screen that is kept up to date; q ends it.",
    brief="Show what the network does at the moment",
)

doctor = Command(
    "doctor",
    Document,
    "bacalhau.cli.system.doctor:doctor",
    help=(
        "Check server, clock, credentials, Docker, disk, permissions and ports, and say what to do; exit code 1 when"
        " something is broken."
    ),
    brief="Check this machine and the server",
)
