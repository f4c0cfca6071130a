"""`bacalhau docker`: how `docker run` is called. What it does is in `submission`."""

from bacalhau.cli.frame.options import (
    DOWNLOAD,
    DRY_RUN,
    IPFS_NODE_FLAGS,
    JOB,
    NETWORK,
    RESOURCES,
    RUNTIME,
    TASK,
    listed,
    no_effect,
    runs,
    text,
)
from bacalhau.cli.frame.pflag import SOME_ARGS, Command, Entry, Tree

run = Command(
    "run",
    callback=runs("bacalhau.cli.job.submission:docker_run"),
    arity=SOME_ARGS,
    operands="IMAGE[:TAG|@DIGEST] [--] [COMMAND] [ARG]...",
    help=(
        "Run a container on the network, wait for it and publish its /outputs.\n\nFlags may stand anywhere before `--`;"
        " what follows `--` belongs to the container."
    ),
    params=[
        *TASK,
        *JOB,
        *RESOURCES,
        *NETWORK,
        text(
            "-w",
            "--workdir",
            section="Container",
            default="",
            metavar="PATH",
            help="Working directory in the container, absolute.",
        ),
        listed(
            "--entrypoint", section="Container", metavar="ARG", help="Instead of the image's entrypoint; repeatable."
        ),
        *RUNTIME,
        DRY_RUN,
        *DOWNLOAD,
        *IPFS_NODE_FLAGS,
        no_effect("--do-not-track", is_flag=True),
    ],
)

docker = Tree("docker", {"run": Entry("bacalhau.cli.job.docker:run", "Run a container")}, help="Run containers.")
