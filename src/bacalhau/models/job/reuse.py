"""The use of an earlier result again: what a job asks for, and the hash that executions share which do the same.

A result may be used again where all that decides it is known in advance: the program by its digest, the inputs by their
inventory, and nothing that comes over a network or from a node. Each reason against it is a doubt, which the job's
`Unpinned` overrides.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence

import msgspec

from bacalhau.lib.units import parse_duration
from bacalhau.lib.wire import Model
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig, read_params
from bacalhau.models.job.taken import KIND, JobParams
from bacalhau.models.job.uses import Reuse

CURE = "Reuse.Unpinned: true allows it all the same"
SECOND = 1_000_000_000


class ReuseKey(Model):
    """The hash of what decides the result of a partition of a version of a job."""

    job_id: str
    job_version: int
    partition: int
    key: str


def reuse_problems(job: Job) -> list[str]:
    """List what is wrong with the wish of a job to use results again."""
    wanted = job.reuse
    if wanted is None:
        return []
    found = []
    if wanted.enabled and job.type != "batch":
        found.append(f"Reuse is for batch jobs, not for those of type {job.type}: leave it out")
    try:
        parse_duration(wanted.max_age)
    except ValueError:
        found.append(f"Reuse.MaxAge must be a duration such as 24h or 90m, not {wanted.max_age!r}")
    return found


def oldest_result(reuse: Reuse, now: int) -> int:
    """Return the time (Unix ns) before which a result is too old to be used again; 0 where none is."""
    seconds = parse_duration(reuse.max_age)
    return now - int(seconds * SECOND) if seconds else 0


def list_doubts(job: Job, program: Sequence[str], fixed: Collection[str], listed: Collection[str]) -> list[str]:
    """List the reasons why the result of a job may be another one next time.

    `program` are the engine's own doubts. `fixed` are the types of inputs whose parameters say what they
    hold, `listed` those that are listed before the job is placed.
    """
    task = job.task
    found = list(program)
    kind = (task.network or NetworkConfig()).kind()
    if kind != NetworkType.NONE:
        found.append(f"the task may use a network (type {kind.value}; None would not)")
    found += [
        f"variable {name} comes from the node" for name, text in (task.env or {}).items() if text.startswith("env:")
    ]
    for item in task.input_sources or ():
        if item.source.kind not in fixed and item.source.kind not in listed:
            found.append(f"input {item.target} of type {item.source.type} is not known before the task runs")
    return found


def make_base(job: Job) -> bytes:
    """Encode all that decides the result of a job but for its listed inputs: the same for all partitions."""
    task = job.task
    resources = task.resources or ResourcesConfig()
    values = (
        job.namespace,
        job.wanted,
        _spec(task.engine),
        sorted((task.env or {}).items()),
        msgspec.to_builtins(task.network),
        resources.gpu,
        sorted((result.name, result.path) for result in task.result_paths or ()),
        _spec(task.publisher or SpecConfig()),
        [list(_input(item)) for item in task.input_sources or ()],
    )
    return msgspec.json.encode(values, order="deterministic")


def _spec(spec: SpecConfig) -> tuple[str, object]:
    return (spec.kind, {name.lower(): value for name, value in (spec.params or {}).items() if value is not None})


def _input(item: InputSource) -> Iterator[object]:
    """Yield what an input is. Of a job's result that is where it was published, not whose it was."""
    yield item.target
    params = read_params(item.source, JobParams)[0] if item.source.kind == KIND else None
    if params is None:
        yield _spec(item.source)
        return
    for taken in params.pinned:
        yield (taken.folder, taken.path, taken.pick, taken.is_archive, _spec(taken.source))


def hash_partition(base: bytes, partition: int, shares: list[bytes]) -> str:
    """Hash what decides the result of a partition: `shares` are the hashes of what it reads of each listed input."""
    whole = hashlib.sha256(base)
    whole.update(b"\n%d" % partition)
    for share in shares:
        whole.update(b"\n" + share)
    return whole.hexdigest()
