"""`bacalhau job`: how its commands are called. What they do is in the modules they name."""

from bacalhau.cli.frame.options import (
    DOCUMENT,
    DOWNLOAD_TUNING,
    NAMESPACE,
    RUNTIME,
    TABLE,
    TEMPLATE,
    VERSION,
    number,
    one_of,
    paging,
    runs,
    switch,
    tail,
    text,
)
from bacalhau.cli.frame.pflag import MAYBE_ARG, ONE_ARG, Command, Entry, Flag, Tree

run = Command(
    "run",
    callback=runs("bacalhau.cli.job.submission:job_run"),
    arity=MAYBE_ARG,
    operands="[FILE]",
    help="Submit the job of a YAML or JSON file, or of stdin. The same name again updates the job.",
    params=[
        *RUNTIME,
        switch(
            "--dry-run",
            section="Waiting",
            help="Print how the job differs from the stored one of its name; a new job itself.",
        ),
        switch("--force", help="Submit although nothing changed."),
        switch("--hide-warnings", help="No warnings about the job."),
        *TEMPLATE,
    ],
)

explain = Command(
    "explain",
    callback=runs("bacalhau.cli.job.explaining:explain"),
    arity=MAYBE_ARG,
    operands="ID|NAME|FILE",
    help=(
        "Show what would run where, what it would read, and for every node why not; of a job, or of a file that is not"
        " submitted."
    ),
    params=[NAMESPACE, *TEMPLATE, switch("--wide", section="Output", help="Full values, no shortening."), *DOCUMENT],
)

rerun = Command(
    "rerun",
    callback=runs("bacalhau.cli.job.submission:job_rerun"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="Run a job again, as its next version.",
    params=[
        *RUNTIME,
        number("-v", "--version", default=0, help="With the spec of this version (default: the latest)."),
        NAMESPACE,
    ],
)

list_command = Command(
    "list",
    callback=runs("bacalhau.cli.job.show:list_jobs"),
    help="List jobs, oldest first.",
    params=[
        text("--labels", default="bacalhau_canary != true", metavar="SELECTOR", help="Only jobs whose labels match."),
        *paging(10, "created_at, modified_at, id"),
        *TABLE,
    ],
)

describe = Command(
    "describe",
    callback=runs("bacalhau.cli.job.describe:describe"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="Show a job with its executions, history and output.",
    params=[*VERSION[:2], *DOCUMENT],
)

executions = Command(
    "executions",
    callback=runs("bacalhau.cli.job.show:executions"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="List the executions of a job.",
    params=[*VERSION, *paging(20, "created_at, modified_at, id, state"), *TABLE],
)

history = Command(
    "history",
    callback=runs("bacalhau.cli.job.show:history"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="List what happened to a job.",
    params=[
        Flag(
            "--event-type",
            type=one_of("all", "job", "execution"),
            default="all",
            metavar="TYPE",
            help="all (default), job or execution.",
        ),
        text("--execution-id", default="", metavar="ID", help="Only events of this execution."),
        *VERSION,
        *paging(0, "time")[:2],
        *TABLE,
    ],
)

versions = Command(
    "versions",
    callback=runs("bacalhau.cli.job.show:versions"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="List the versions of a job.",
    params=[NAMESPACE, *TABLE],
)

logs = Command(
    "logs",
    callback=runs("bacalhau.cli.job.reading:job_logs"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="Print what a job printed, both streams on stdout.",
    params=[
        text("-e", "--execution-id", default="", metavar="ID", help="Of this execution."),
        switch("-f", "--follow", help="Go on until the job ends."),
        Flag(
            "-t",
            "--tail",
            type=tail,
            lone="true",
            default=False,
            metavar="[=LINES]",
            help="Only what is printed from now on, or the last LINES lines.",
        ),
        switch("--all", help="Of every execution, also of those that others replaced; each line names its execution."),
        NAMESPACE,
    ],
)

get = Command(
    "get",
    callback=runs("bacalhau.cli.job.fetch:job_get"),
    arity=ONE_ARG,
    operands="ID|NAME[/PATH/IN/RESULT]",
    help="Download the results of a job and check them.",
    params=[*DOWNLOAD_TUNING, NAMESPACE],
)

stop = Command(
    "stop",
    callback=runs("bacalhau.cli.job.cancelling:job_stop"),
    arity=ONE_ARG,
    operands="ID|NAME",
    help="Stop a job.",
    params=[switch("--quiet", help="Print nothing."), NAMESPACE],
)

validate = Command(
    "validate",
    callback=runs("bacalhau.cli.job.checking:job_validate"),
    arity=MAYBE_ARG,
    operands="[FILE]",
    help="Check a job file without submitting it.",
)

job = Tree(
    "job",
    {
        "describe": Entry("bacalhau.cli.job.commands:describe", "Show a job with its executions, history and output"),
        "executions": Entry("bacalhau.cli.job.commands:executions", "List the executions of a job"),
        "explain": Entry("bacalhau.cli.job.commands:explain", "Show what would run where, and why not elsewhere"),
        "get": Entry("bacalhau.cli.job.commands:get", "Download the results of a job"),
        "history": Entry("bacalhau.cli.job.commands:history", "List what happened to a job"),
        "list": Entry("bacalhau.cli.job.commands:list_command", "List jobs"),
        "logs": Entry("bacalhau.cli.job.commands:logs", "Print what a job printed"),
        "rerun": Entry("bacalhau.cli.job.commands:rerun", "Run a job again"),
        "run": Entry("bacalhau.cli.job.commands:run", "Submit a job from a file or stdin"),
        "stop": Entry("bacalhau.cli.job.commands:stop", "Stop a job"),
        "validate": Entry("bacalhau.cli.job.commands:validate", "Check a job file"),
        "versions": Entry("bacalhau.cli.job.commands:versions", "List the versions of a job"),
    },
    help="Submit, list, describe and stop jobs.",
)
