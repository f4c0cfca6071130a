"""`bacalhau job`: how its commands are called. What they do is in the modules they name."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.frame.flags import Flags, number, switch, text, value
from bacalhau.cli.frame.reading import OneOf, tail
from bacalhau.cli.job.flags import Fetching, Follow, Namespaced, OneVersion, Quiet, Versions, Waiting
from bacalhau.cli.output.flags import Document, OrderedPage, Page, Table, order, rows
from bacalhau.cli.spec.job_flags import ReuseFlags, Template

_JOB = Operands("ID|NAME", 1, 1)


class _Difference(Flags, section="Waiting"):
    dry_run: bool = switch(
        "--dry-run", help="Print how the job differs from the stored one of its name; a new job itself."
    )


class _Update(Flags):
    force: bool = switch("--force", help="Submit although nothing changed.")
    hide_warnings: bool = switch("--hide-warnings", help="No warnings about the job.")


class JobRun(Waiting, _Difference, _Update, ReuseFlags, Template):
    """Flags of `job run`."""


class _Wide(Flags, section="Output"):
    wide: bool = switch("--wide", help="Full values, no shortening.")


class Explain(Namespaced, Template, _Wide, Page, Document, section="Paging"):
    """Flags of `job explain`."""

    limit: int = rows(20)


class _FromVersion(Flags):
    version: int = number("-v", "--version", help="With the spec of this version (default: the latest).")


class Rerun(Waiting, _FromVersion, Namespaced):
    """Flags of `job rerun`."""

    same_inputs: bool = switch(
        "--same-inputs", help="Read the same objects again, although the source holds others now."
    )


class _JobLabels(Flags):
    labels: str = text(
        "--labels", default="bacalhau_canary != true", metavar="SELECTOR", help="Only jobs whose labels match."
    )


class ListJobs(_JobLabels, OrderedPage, Table, section="Paging"):
    """Flags of `job list`."""

    limit: int = rows(10)
    order_by: str = order("created_at, modified_at, id")


class DescribeJob(OneVersion, Document):
    """Flags of `job describe`."""

    output: str | None = value(
        "--output",
        read=OneOf("json", "yaml", "intoto", says='should be one of ["json" "yaml" "intoto"]'),
        default=None,
        metavar="FORMAT",
        help="json or yaml; with --provenance also intoto, a statement a line.",
    )
    lineage: bool = switch("--lineage", help="Show where its inputs came from, and which jobs read its results.")
    provenance: bool = switch("--provenance", help="Show what its executions read and published, file by file.")


class ListExecutions(Versions, OrderedPage, Table, section="Paging"):
    """Flags of `job executions`."""

    limit: int = rows(20)
    order_by: str = order("created_at, modified_at, id, state")


class _Events(Flags):
    event_type: str = value(
        "--event-type",
        read=OneOf("all", "job", "execution"),
        default="all",
        metavar="TYPE",
        help="all (default), job or execution.",
    )
    execution_id: str = text("--execution-id", metavar="ID", help="Only events of this execution.")


class History(_Events, Versions, Page, Table):
    """Flags of `job history`."""


class ListVersions(Namespaced, Table):
    """Flags of `job versions`."""


class _OneExecution(Flags):
    execution_id: str = text("-e", "--execution-id", metavar="ID", help="Of this execution.")


class _Part(Flags):
    tail: bool | int = value(
        "-t",
        "--tail",
        read=tail,
        lone="true",
        default=False,
        metavar="[=LINES]",
        help="Only what is printed from now on, or the last LINES lines.",
    )
    all: bool = switch(
        "--all", help="Of every execution, also of those that others replaced; each line names its execution."
    )


class JobLogs(_OneExecution, Follow, _Part, Namespaced):
    """Flags of `job logs`."""


class _To(Flags):
    publisher: str = text(
        "-p", "--publisher", metavar="URI[,opt=K=V]", help="Where the outputs go (default: where the job says)."
    )


class JobPublish(_OneExecution, _To, Namespaced):
    """Flags of `job publish`."""


class JobGet(Fetching, Namespaced):
    """Flags of `job get`."""


class JobStop(Quiet, Namespaced):
    """Flags of `job stop`."""


class JobDelete(Quiet, Namespaced):
    """Flags of `job delete`."""


logs = Command(
    "logs",
    JobLogs,
    "bacalhau.cli.job.reading:job_logs",
    _JOB,
    help="Print what a job printed, both streams on stdout.",
    brief="Print what a job printed",
)

job = Tree(
    "job",
    [
        Command(
            "delete",
            JobDelete,
            "bacalhau.cli.job.deleting:job_delete",
            _JOB,
            help="Delete a job that has ended, with its history, output and the results that it published to IPFS.",
            brief="Delete a job that has ended",
        ),
        Command(
            "describe",
            DescribeJob,
            "bacalhau.cli.job.describe:describe",
            _JOB,
            help="Show a job with its executions, history and output.",
        ),
        Command(
            "executions",
            ListExecutions,
            "bacalhau.cli.job.show:executions",
            _JOB,
            help="List the executions of a job.",
        ),
        Command(
            "explain",
            Explain,
            "bacalhau.cli.job.explaining:explain",
            Operands("ID|NAME|FILE", 0, 1),
            help=(
                "Show what would run where, what it would read, how many nodes would take it, and for each why not; of"
                " a job, or of a file that is not submitted."
            ),
            brief="Show what would run where, and why not elsewhere",
        ),
        Command(
            "get",
            JobGet,
            "bacalhau.cli.job.fetch:job_get",
            Operands("ID|NAME[/PATH/IN/RESULT]", 1, 1),
            help="Download the results of a job and check them.",
            brief="Download the results of a job",
        ),
        Command("history", History, "bacalhau.cli.job.show:history", _JOB, help="List what happened to a job."),
        Command(
            "list", ListJobs, "bacalhau.cli.job.show:list_jobs", help="List jobs, oldest first.", brief="List jobs"
        ),
        logs,
        Command(
            "publish",
            JobPublish,
            "bacalhau.cli.job.publishing:job_publish",
            _JOB,
            help=(
                "Publish the outputs of a job that has ended and whose result could not be published: its node keeps"
                " them for a day."
            ),
            brief="Publish outputs that a node kept",
        ),
        Command(
            "rerun",
            Rerun,
            "bacalhau.cli.job.submission:job_rerun",
            _JOB,
            help="Run a job again, as its next version.",
            brief="Run a job again",
        ),
        Command(
            "run",
            JobRun,
            "bacalhau.cli.job.submission:job_run",
            Operands("[FILE]", 0, 1),
            help="Submit the job of a YAML or JSON file, or of stdin. The same name again updates the job.",
            brief="Submit a job from a file or stdin",
        ),
        Command("stop", JobStop, "bacalhau.cli.job.cancelling:job_stop", _JOB, help="Stop a job."),
        Command(
            "validate",
            Flags,
            "bacalhau.cli.job.checking:job_validate",
            Operands("[FILE]", 0, 1),
            help="Check a job file without submitting it.",
            brief="Check a job file",
        ),
        Command("versions", ListVersions, "bacalhau.cli.job.show:versions", _JOB, help="List the versions of a job."),
    ],
    help="Submit, list, describe and stop jobs.",
)
