"""The flags of `docker run` and its like as a job.

A text that cannot be read is named with its flag; what is wrong with the whole is for the validator.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from bacalhau.cli.frame.pflag import invalid_argument
from bacalhau.cli.frame.say import say
from bacalhau.cli.spec.job_flags import DockerJob, NewJob, ReuseFlags
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.models.job.count import AUTO
from bacalhau.models.job.job import InputSource, Job, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.selector import parse_selector
from bacalhau.models.job.shared_target import place_side_by_side
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.uses import Reuse
from bacalhau.models.text.grammar import parse_env, parse_label, parse_network, parse_output
from bacalhau.plugins.uris import parse_input, parse_publisher

T = TypeVar("T")

OUTPUTS = ResultPath(name="outputs", path="/outputs")


def job_of_flags(flags: DockerJob, positionals: list[str]) -> Job:
    """`positionals` are the image and what runs in it. Raises UsageError or BadRequest."""
    image, *command = positionals
    return job_of_engine(flags, _engine(flags, image, command))


def job_of_engine(flags: NewJob, engine: SpecConfig, inputs: tuple[InputSource, ...] = ()) -> Job:
    """`inputs` beside those of the flags. Raises UsageError or BadRequest."""
    everywhere = flags.target == "all"
    return Job(
        name=flags.name,
        namespace=flags.namespace,
        type="ops" if everywhere else "batch",
        priority=flags.priority,
        count=_count(flags, everywhere=everywhere),
        auto_count=flags.count == AUTO,
        constraints=_constraints(flags),
        labels=merged_pairs("-l, --labels", flags.labels, parse_label),
        tasks=(_task(flags, engine, inputs),),
        reuse=read_reuse(flags, None),
    )


def read_reuse(flags: ReuseFlags, wanted: Reuse | None) -> Reuse | None:
    """Return the wish to use results again of the flags; where these say nothing, the one that is there."""
    if not flags.reuse and not flags.reuse_max_age:
        return wanted
    before = wanted or Reuse()
    return replace(before, enabled=True, max_age=flags.reuse_max_age or before.max_age)


def _task(flags: NewJob, engine: SpecConfig, inputs: tuple[InputSource, ...]) -> Task:
    named = [_read("-i, --input", text, parse_input) for text in flags.input]
    return Task(
        name=flags.task_name,
        engine=engine,
        publisher=_read("-p, --publisher", flags.publisher, parse_publisher),
        env=merged_pairs("-e, --env", flags.env, parse_env) or None,
        input_sources=(*place_side_by_side(named), *inputs) or None,
        result_paths=_outputs(flags.output),
        resources=ResourcesConfig(cpu=flags.cpu, memory=flags.memory, disk=flags.disk, gpu=flags.gpu),
        network=_network(flags),
        timeouts=Timeouts(total_timeout=flags.timeout, queue_timeout=flags.queue_timeout),
    )


def _network(flags: NewJob) -> NetworkConfig | None:
    """Return the network; None leaves it to the node. Domains stay, for the validator to say what they need."""
    kind = _read("--network", flags.network, parse_network)
    return NetworkConfig(type=kind.value, domains=flags.domain) if kind != NetworkType.DEFAULT or flags.domain else None


def _engine(flags: DockerJob, image: str, command: list[str]) -> SpecConfig:
    workdir = flags.workdir
    if workdir and not workdir.startswith("/"):
        raise BadRequest(f"validating docker working directory: workdir must be an absolute path. Passed in: {workdir}")
    params = {
        "Entrypoint": list(flags.entrypoint) or None,
        "EnvironmentVariables": [],
        "Image": image,
        "Parameters": command,
        "WorkingDirectory": workdir,
    }
    extras = {"ShmSize": flags.shm_size, "Tmpfs": list(flags.tmpfs), "Ulimits": list(flags.ulimit)}
    return SpecConfig(type="docker", params=params | {name: value for name, value in extras.items() if value})


def _count(flags: NewJob, *, everywhere: bool) -> int | None:
    """Return the count, or None where the nodes decide. Raises UsageError for two counts, or for one that cannot be
    kept."""
    if flags.count is not None and flags.concurrency is not None:
        raise click.UsageError("--count and --concurrency are two names of one thing: give one of them")
    if flags.concurrency is not None:
        _say_deprecated("--concurrency", "--count")
    count = next((n for n in (flags.count, flags.concurrency) if n is not None), 1)
    if everywhere and count != 1:
        raise click.UsageError(
            f"--target all runs on every matching node: --count {count} cannot be kept; leave it out"
        )
    return None if everywhere or isinstance(count, str) else count


def _say_deprecated(flag: str, use: str) -> None:
    say(f"Flag {flag} has been deprecated, use {use}", err=True)


def _constraints(flags: NewJob) -> Any:
    if flags.constraints and flags.selector:
        raise click.UsageError("--constraints and --selector are two names of one thing: give one of them")
    if flags.constraints:
        return _read("--constraints", flags.constraints, parse_selector)
    if flags.selector:
        _say_deprecated("--selector", "--constraints")
    return _read("-s, --selector", flags.selector, parse_selector)


def _outputs(texts: tuple[str, ...]) -> tuple[ResultPath, ...]:
    """`/outputs` is always one of them, unless it is mapped under another name; a later entry for a path replaces."""
    given = {path.path: path for path in (_read("-o, --output", text, parse_output) for text in texts)}
    return tuple(({OUTPUTS.path: OUTPUTS} | given).values())


def _read(names: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except BadRequest as e:
        raise _Refused(names, text, e) from e


def merged_pairs(names: str, texts: tuple[str, ...], parse: Callable[[str], dict[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        found |= _read(names, text, parse)
    return found


class _Refused(BadRequest):
    """A flag's value, with the grammar's reason and its hint."""

    def __init__(self, names: str, text: str, reason: BacalhauError) -> None:
        super().__init__(invalid_argument(text, names, reason.message).message, hint=reason.hint)
