"""`bacalhau docker`: how `docker run` is called. What it does is in `submission`."""

from bacalhau.cli.frame.command import Command, Operands, Tree
from bacalhau.cli.frame.flags import no_effect
from bacalhau.cli.job.flags import Download, DryRun, IpfsNode, Waiting
from bacalhau.cli.spec.job_flags import DockerJob


class DockerRun(DockerJob, Waiting, DryRun, Download, IpfsNode):
    """The job, how it is waited for, and where its results go."""

    do_not_track = no_effect("--do-not-track", is_flag=True)


run = Command(
    "run",
    DockerRun,
    "bacalhau.cli.job.submission:docker_run",
    Operands("IMAGE[:TAG|@DIGEST] [--] [COMMAND] [ARG]...", 1, None),
    help=(
        "Run a container on the network, wait for it and publish its /outputs.\n\nFlags may stand anywhere before `--`;"
        " what follows `--` belongs to the container."
    ),
    brief="Run a container",
)

docker = Tree("docker", [run], help="Run containers.")
