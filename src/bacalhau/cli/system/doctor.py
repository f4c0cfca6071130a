"""`bacalhau doctor`: checks of this machine and of the server that its commands use, each with what to do about it."""

import asyncio
import sys

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.report import painted
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.block import GREEN, RED, YELLOW
from bacalhau.cli.output.flags import Document
from bacalhau.cli.output.render import show_document
from bacalhau.cli.system.checks import BROKEN, OK, Finding, check_all

_COLOURS = {OK: GREEN, BROKEN: RED}
_WIDTH = 12


def doctor(call: Call[Document]) -> int:
    """Exit code 1 when something is broken; warnings alone are 0."""
    found = asyncio.run(check_all(call.settings))
    if call.flags.output:
        show_document(call.flags, found, "json")
    else:
        for finding in found:
            _say(finding)
    return 1 if any(finding.state == BROKEN for finding in found) else 0


def _say(finding: Finding) -> None:
    state = painted(f"{finding.state:8}", _COLOURS.get(finding.state, YELLOW), sys.stdout)
    say(f"{state} {finding.name:{_WIDTH}} {finding.message}")
    if finding.cure:
        say(f"{'':8} {'':{_WIDTH}} → {finding.cure}")
