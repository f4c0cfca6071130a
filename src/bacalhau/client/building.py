"""Jobs from a few words: an image or a module, a command, and options by the names that the command line has."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from bacalhau.lib.errors import BadRequest, with_hint
from bacalhau.models.job.job import EVERYWHERE, InputSource, Job, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.selector import parse_selector
from bacalhau.models.job.shared_target import place_side_by_side
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import parse_network, parse_output, scheme_of
from bacalhau.plugins.inline.writing import inline_file
from bacalhau.plugins.uris import parse_input, parse_publisher

OUTPUTS = ResultPath(name="outputs", path="/outputs")
MODULE = "main.wasm"


class JobOptions(TypedDict, total=False):
    """The options of a job.

    `inputs`: texts as `-i` has them, such as `s3://bucket/key:/where,opt=region=eu-west-1`. `outputs`: folders to keep
    beside /outputs, as `NAME:/PATH`. `publisher`: as `-p` has it; "ipfs" where it is left out, None keeps no result.
    `cpu` in cores; `memory` and `disk` as texts with units such as 512Mb or 2Gi; `gpu` is a number of GPUs.
    `count`: partitions of a batch or service job. `type`: batch, ops, service or daemon. `constraints`: a selector of
    nodes, such as `zone in (a,b)`. `network`: None, Bridge, Host, HTTP or Full; `domains` belong to HTTP.
    `timeout` and `queue_timeout` in seconds. `priority`: higher goes first.
    """

    name: str
    namespace: str
    type: str
    priority: int
    count: int
    labels: Mapping[str, str]
    constraints: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    publisher: str | None
    env: Mapping[str, str]
    cpu: float | str
    memory: str
    disk: str
    gpu: int
    network: str
    domains: Sequence[str]
    timeout: int
    queue_timeout: int


def build_docker(image: str, command: str | Sequence[str], options: JobOptions) -> Job:
    """Build a job that runs a container; a text is split into words as a shell does. Raises BadRequest."""
    params = {"Image": image, "Parameters": split_command(command)}
    return _build(SpecConfig(type="docker", params=params), options)


def build_wasm(module: str, arguments: Sequence[str], entry_point: str, options: JobOptions) -> Job:
    """Build a job that runs a WebAssembly module: a file of this machine, or a URI as `inputs` have it. Raises
    BadRequest.
    """
    if scheme_of(module):
        source = parse_input(module, f"/{MODULE}")
    else:
        source = InputSource(source=inline_file(Path(module)), alias=module, target=f"/{MODULE}")
    params = {"EntryModule": source.target, "Entrypoint": entry_point, "Parameters": list(arguments)}
    return _build(SpecConfig(type="wasm", params=params), options, (source,))


def split_command(command: str | Sequence[str]) -> list[str]:
    """Split a command into its words. Raises BadRequest for a quotation that does not end."""
    try:
        return shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as e:
        error = BadRequest(f"the command {command!r} cannot be read: {e}", hint="give its words as a list")
        raise with_hint(error) from e


def fill(words: Iterable[str], item: object) -> list[str]:
    """Put an item into the words of a command in place of `{}`; what it holds stays within its word."""
    return [word.replace("{}", str(item)) for word in words]


def _build(engine: SpecConfig, options: JobOptions, more: tuple[InputSource, ...] = ()) -> Job:
    if unknown := options.keys() - JobOptions.__annotations__.keys():
        known = ", ".join(sorted(JobOptions.__annotations__))
        raise TypeError(f"unknown options of a job: {', '.join(sorted(unknown))}; there are {known}")
    kind, constraints = options.get("type", "batch"), options.get("constraints", "")
    return Job(
        name=options.get("name", ""),
        namespace=options.get("namespace", ""),
        type=kind,
        priority=options.get("priority", 0),
        count=options.get("count", None if kind in EVERYWHERE else 1),
        constraints=parse_selector(constraints) if constraints else (),
        labels=dict(options.get("labels", {})),
        tasks=(_task(engine, options, more),),
    )


def _task(engine: SpecConfig, options: JobOptions, more: tuple[InputSource, ...]) -> Task:
    publisher = options.get("publisher", "ipfs")
    given = [parse_output(text) for text in options.get("outputs", ())]
    named = [parse_input(text) for text in options.get("inputs", ())]
    return Task(
        name="main",
        engine=engine,
        publisher=parse_publisher(publisher) if publisher else SpecConfig(),
        env=dict(options.get("env", {})) or None,
        input_sources=(*place_side_by_side(named), *more) or None,
        result_paths=tuple({path.path: path for path in (OUTPUTS, *given)}.values()),
        resources=_resources(options),
        network=_network(options),
        timeouts=Timeouts(total_timeout=options.get("timeout", 0), queue_timeout=options.get("queue_timeout", 0)),
    )


def _resources(options: JobOptions) -> ResourcesConfig:
    gpu, cpu = options.get("gpu", 0), options.get("cpu", "")
    return ResourcesConfig(
        cpu=str(cpu) if cpu else "",
        memory=options.get("memory", ""),
        disk=options.get("disk", ""),
        gpu=str(gpu) if gpu else "",
    )


def _network(options: JobOptions) -> NetworkConfig | None:
    """Make the network; None leaves it to the node."""
    kind, domains = options.get("network", ""), tuple(options.get("domains", ()))
    if not kind and not domains:
        return None
    return NetworkConfig(type=parse_network(kind or "HTTP").value, domains=domains)
