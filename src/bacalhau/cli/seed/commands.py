"""`list`, `describe` and `id` of the older generation: how they are called."""

from bacalhau.cli.frame.command import Command, Operands
from bacalhau.cli.frame.flags import Flags, listed, no_effect, number, switch, text, value
from bacalhau.cli.frame.reading import OneOf
from bacalhau.cli.output.flags import Table


class Which(Flags):
    """The jobs that are listed, and their order."""

    id_filter: str = text("--id-filter", metavar="ID", help="Only the job with this id or beginning of an id.")
    include_tag: tuple[str, ...] = listed("--include-tag", metavar="TAG", help="Only jobs with one of these labels.")
    exclude_tag: tuple[str, ...] = listed(
        "--exclude-tag", metavar="TAG", default=("canary",), help="No jobs with one of these labels (default canary)."
    )
    number: int = number("-n", "--number", default=10, help="At most this many rows; 0 is all.")
    reverse: bool = switch("--reverse", default=True, help="Newest first (the default; --reverse=false turns it off).")
    sort_by: str = value(
        "--sort-by",
        read=OneOf("id", "created_at", says='must be one of "id", or "created_at"'),
        default="created_at",
        metavar="KEY",
        help="id or created_at.",
    )
    all: bool = switch("--all", help="Jobs of every client.")


class ListJobs(Which, Table):
    """Flags of `list`."""


class Describe(Flags):
    """Flags of `describe`."""

    json: bool = switch("--json", help="JSON instead of YAML.")
    include_events: bool = switch("--include-events", help="The job's history too.")
    spec = no_effect("--spec", is_flag=True)


list_command = Command(
    "list",
    ListJobs,
    "bacalhau.cli.seed.show:list_jobs",
    help="List jobs, newest first: one's own and those nobody owns, or --all.",
)

describe = Command(
    "describe",
    Describe,
    "bacalhau.cli.seed.show:describe",
    Operands("ID", 1, 1),
    help="Show a job, its state and its executions, as YAML or JSON.",
)

id_command = Command("id", Table, "bacalhau.cli.seed.show:show_id", help="Show the identity of this client.")
