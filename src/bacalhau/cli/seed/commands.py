"""The commands of the older generation that stand at the root: how they are called.

What they do is in the modules they name.
"""

from bacalhau.cli.frame.options import (
    DOWNLOAD,
    DOWNLOAD_TUNING,
    DRY_RUN,
    IPFS_NODE_FLAGS,
    RUNTIME,
    TABLE,
    listed,
    no_effect,
    number,
    one_of,
    runs,
    switch,
    text,
)
from bacalhau.cli.frame.pflag import MAYBE_ARG, ONE_ARG, Command, Flag

create = Command(
    "create",
    callback=runs("bacalhau.cli.job.submission:create"),
    arity=MAYBE_ARG,
    operands="[FILE]",
    help="Submit the job of a YAML or JSON file of either generation, or of stdin.",
    params=[*RUNTIME, DRY_RUN, *DOWNLOAD],
)

list_command = Command(
    "list",
    callback=runs("bacalhau.cli.seed.show:list_jobs"),
    help="List jobs, newest first: one's own and those nobody owns, or --all.",
    params=[
        text("--id-filter", default="", metavar="ID", help="Only the job with this id or beginning of an id."),
        listed("--include-tag", metavar="TAG", help="Only jobs with one of these labels."),
        listed(
            "--exclude-tag",
            metavar="TAG",
            default=("canary",),
            help="No jobs with one of these labels (default canary).",
        ),
        number("-n", "--number", default=10, help="At most this many rows; 0 is all."),
        switch("--reverse", default=True, help="Newest first (the default; --reverse=false turns it off)."),
        Flag(
            "--sort-by",
            type=one_of("id", "created_at", says='must be one of "id", or "created_at"'),
            default="created_at",
            metavar="KEY",
            help="id or created_at.",
        ),
        switch("--all", help="Jobs of every client."),
        *TABLE,
    ],
)

describe = Command(
    "describe",
    callback=runs("bacalhau.cli.seed.show:describe"),
    arity=ONE_ARG,
    operands="ID",
    help="Show a job, its state and its executions, as YAML or JSON.",
    params=[
        switch("--json", help="JSON instead of YAML."),
        switch("--include-events", help="The job's history too."),
        no_effect("--spec", is_flag=True),
    ],
)

get = Command(
    "get",
    callback=runs("bacalhau.cli.job.fetch:get"),
    arity=ONE_ARG,
    operands="ID[/PATH/IN/RESULT]",
    help="Download the results of a job and check them.",
    params=[*DOWNLOAD_TUNING, *IPFS_NODE_FLAGS],
)

logs = Command(
    "logs",
    callback=runs("bacalhau.cli.job.reading:logs"),
    arity=ONE_ARG,
    operands="ID",
    help="Print what a job printed, each stream where it belongs.",
    params=[switch("-f", "--follow", help="Go on until the job ends.")],
)

cancel = Command(
    "cancel",
    callback=runs("bacalhau.cli.job.cancelling:cancel"),
    arity=ONE_ARG,
    operands="ID",
    help="Cancel a job.",
    params=[switch("--quiet", help="Print nothing.")],
)

validate = Command(
    "validate",
    callback=runs("bacalhau.cli.job.checking:validate"),
    arity=MAYBE_ARG,
    operands="[FILE]",
    help="Check a job file of either generation without submitting it.",
    params=[switch("--output-schema", help="Print the JSON schema of a job instead.")],
)

id_command = Command(
    "id",
    callback=runs("bacalhau.cli.seed.show:show_id"),
    help="Show the identity of this client.",
    params=TABLE,
)

version = Command(
    "version",
    callback=runs("bacalhau.cli.agent.show:show_versions"),
    help="Show the versions of client and server.",
    params=[switch("--client", help="The client's only; no server is asked."), *TABLE],
)
