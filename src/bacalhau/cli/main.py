"""The program's entry. It imports next to nothing, so that Ctrl-C ends the program without a traceback from its first
moment on: `program` and what it needs take most of the time in which a short command runs.
"""

import sys

from bacalhau.cli.frame import interrupts
from bacalhau.cli.frame.lazy import resolve


def main() -> None:
    """Run the command line of this process, and exit."""
    interrupts.leave_at_once()
    sys.exit(resolve("bacalhau.cli.frame.program:start")())
