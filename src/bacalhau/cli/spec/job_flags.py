"""The flags that describe a job: what `docker run` and `wasm run` make jobs of, and the values of templates."""

from bacalhau.cli.frame.flags import Flags, listed, many, number, switch, text, value
from bacalhau.cli.frame.reading import OneOf, whole, whole_or
from bacalhau.models.job.count import AUTO


class JobFlags(Flags, section="Job"):
    """The job as a whole, and where it may run."""

    name: str = text("--name", help="Name of the job; submitting the same name again updates it.")
    namespace: str = text("--namespace", default="default", help="Namespace of the job.")
    priority: int = number("--priority", help="Higher is scheduled first.")
    labels: tuple[str, ...] = listed(
        "-l", "--labels", metavar="KEY[=VALUE]", help="Labels (tags) of the job; repeatable."
    )
    count: int | str | None = value(
        "--count",
        read=whole_or(AUTO, 1),
        default=None,
        metavar="INT|auto",
        help="How many nodes run the job, each its own partition (default 1); auto: as its inputs say.",
    )
    concurrency: int | None = value(
        "--concurrency", read=whole(1), default=None, metavar="INT", help="The older name of --count."
    )
    target: str = value(
        "--target",
        read=OneOf("any", "all", says='expecting "any" or "all", not "{}"'),
        default="any",
        metavar="any|all",
        help="Run on any suitable nodes.",
    )
    selector: str = text("-s", "--selector", help="Which nodes may run it, as `os_type=linux,zone in (a,b)`.")
    constraints: str = text("--constraints", help="The newer name of --selector.")


class TaskFlags(Flags, section="Task"):
    """The one task of the job."""

    input: tuple[str, ...] = many(
        "-i",
        "--input",
        metavar="URI[:PATH][,opt=K=V]",
        help="Input from s3://, ipfs://, job://, http(s):// or file://, at PATH (default /inputs).",
    )
    output: tuple[str, ...] = listed(
        "-o", "--output", metavar="NAME:PATH", help="A directory to keep as a result; /outputs always is."
    )
    publisher: str = text(
        "-p",
        "--publisher",
        metavar="URI[,opt=K=V]",
        default="ipfs",
        help="Where results go: ipfs, s3://bucket/key, local (default ipfs).",
    )
    env: tuple[str, ...] = many("-e", "--env", metavar="KEY=VALUE", help="Environment variables; repeatable.")
    task_name: str = text("--task-name", default="main", help="Name of the task.")
    timeout: int = number("--timeout", help="Seconds the job may run; 0 is the server's default.")
    queue_timeout: int = number("--queue-timeout", help="Seconds the job may wait for a node.")


class ResourceFlags(Flags, section="Resources"):
    """The resources that the task needs."""

    cpu: str = text("--cpu", metavar="CPUS", help="Cores, as 500m or 2.")
    memory: str = text("--memory", metavar="SIZE", help="Memory, as 512Mb or 2Gi.")
    disk: str = text("--disk", metavar="SIZE", help="Disk, as 10Gb.")
    gpu: str = text("--gpu", metavar="COUNT", help="GPUs.")


class NetworkFlags(Flags, section="Network"):
    """The network of the task."""

    network: str = text(
        "--network",
        default="Default",
        metavar="KIND",
        help="Default (the node's own, bridge), None, Bridge, Host or Full.",
    )
    domain: tuple[str, ...] = many(
        "--domain", metavar="DOMAIN", help="With --network HTTP: a domain the job may talk to; repeatable."
    )


class ReuseFlags(Flags, section="Earlier results"):
    """Results that need not be computed again."""

    reuse: bool = switch(
        "--reuse", help="Take the result of an earlier execution that did the same work, without running."
    )
    reuse_max_age: str = text(
        "--reuse-max-age", metavar="DURATION", help="As --reuse, for results of at most this age, as 24h."
    )


class NewJob(TaskFlags, JobFlags, ResourceFlags, NetworkFlags, ReuseFlags):
    """A job of one task, whatever engine runs it."""


class DockerJob(NewJob, section="Container"):
    """A job that runs a container."""

    workdir: str = text("-w", "--workdir", metavar="PATH", help="Working directory in the container, absolute.")
    entrypoint: tuple[str, ...] = listed(
        "--entrypoint", metavar="ARG", help="Instead of the image's entrypoint; repeatable."
    )
    shm_size: str = text("--shm-size", metavar="SIZE", help="Size of /dev/shm, as 2Gb; it counts in the memory.")
    tmpfs: tuple[str, ...] = many(
        "--tmpfs", metavar="PATH[:OPTIONS]", help="Memory as a folder, as /scratch:size=64Mb; repeatable."
    )
    ulimit: tuple[str, ...] = many(
        "--ulimit", metavar="NAME=SOFT[:HARD]", help="A limit of processes, as memlock=-1; repeatable."
    )


class WasmJob(NewJob, section="Module"):
    """A job that runs a WebAssembly module."""

    entry_point: str = text(
        "--entry-point", default="_start", metavar="NAME", help="The function to call (default _start)."
    )
    import_modules: tuple[str, ...] = listed(
        "-I",
        "--import-modules",
        metavar="MODULE:TARGET",
        help="Modules that the first one imports; repeatable.",
    )


class Template(Flags, section="Template"):
    """The values of a job file that is a template."""

    template_vars: tuple[str, ...] = many(
        "-V", "--template-vars", metavar="NAME=VALUE", help="A value for {{.NAME}} in the file; repeatable."
    )
    template_envs: str = text(
        "-E",
        "--template-envs",
        metavar="PATTERN",
        help="Variables of the environment that the file may use: a pattern, * for all.",
    )
    no_template: bool = switch("--no-template", help="Take the file as it is; {{ means nothing.")
