"""The commands of the older generation that submit, follow and stop jobs: how they are called.

What they do is in the modules they name, beside today's commands.
"""

from bacalhau.cli.frame.command import Command, Operands
from bacalhau.cli.frame.flags import Flags, switch
from bacalhau.cli.job.flags import Download, DryRun, Fetching, Follow, IpfsNode, Quiet, Waiting

_JOB = Operands("ID", 1, 1)
_FILE = Operands("[FILE]", 0, 1)


class Create(Waiting, DryRun, Download):
    """Flags of `create`."""


class Get(Fetching, IpfsNode):
    """Flags of `get`."""


class Validate(Flags):
    """Flags of `validate`."""

    output_schema: bool = switch("--output-schema", help="Print the JSON schema of a job instead.")


create = Command(
    "create",
    Create,
    "bacalhau.cli.job.submission:create",
    _FILE,
    help="Submit the job of a YAML or JSON file of either generation, or of stdin.",
)

get = Command(
    "get",
    Get,
    "bacalhau.cli.job.fetch:get",
    Operands("ID[/PATH/IN/RESULT]", 1, 1),
    help="Download the results of a job and check them.",
)

logs = Command(
    "logs",
    Follow,
    "bacalhau.cli.job.reading:logs",
    _JOB,
    help="Print what a job printed, each stream where it belongs.",
)

cancel = Command("cancel", Quiet, "bacalhau.cli.job.cancelling:cancel", _JOB, help="Cancel a job.")

validate = Command(
    "validate",
    Validate,
    "bacalhau.cli.job.checking:validate",
    _FILE,
    help="Check a job file of either generation without submitting it.",
)
