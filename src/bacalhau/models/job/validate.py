"""The steps of a job between its arrival and the store: one spelling, no fields that are the server's, defaults, every
problem.

The order is `normalized`, `sanitized`, `fill_defaults`, `validate_job`. The parts of a task are checked in
`task_problems`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from bacalhau.border.names import (
    ID_WORDS,
    NAME_WORDS,
    control_problem,
    is_identifier,
    is_name,
    label_problems,
    shorten,
)
from bacalhau.models.job.job import (
    EVERYWHERE,
    JOB_TYPES,
    LONG_RUNNING,
    RESERVED_META,
    InputSource,
    Job,
    JobState,
    LabelSelectorRequirement,
    Task,
    Timeouts,
)
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.retry import normal_retry
from bacalhau.models.job.reuse import reuse_problems
from bacalhau.models.job.selector import selector_problems
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.taken import unpinned
from bacalhau.models.job.task_problems import SpecChecks, task_problems
from bacalhau.models.job.uses import Reuse

Divide = Callable[[SpecConfig], int]
"""Return how many bytes of an input make a partition; 0 where the input does not decide the count."""

_NONE: SpecChecks = {}
_UNDIVIDED: Mapping[str, Divide] = {}
MAX_COUNT = 100_000  # every look at a job goes over its partitions


class JobDefault(NamedTuple):
    """The defaults of a job type, taken where a job asks for nothing. Timeouts of 0 and an empty publisher are no
    default.
    """

    priority: int = 0
    resources: ResourcesConfig = ResourcesConfig(cpu="500m", memory="512mb")
    publisher: SpecConfig = SpecConfig()
    timeouts: Timeouts = Timeouts()


def normalized(job: Job) -> Job:
    """The job in its one spelling: default namespace, lower-case type, a count, empty lists and maps for
    absent ones.
    """
    kind = job.type.strip().lower()
    return replace(
        job,
        name=job.name.strip(),
        namespace=job.namespace.strip() or "default",
        type=kind,
        count=_count(kind, job.count),
        constraints=job.constraints or (),
        meta=job.meta or {},
        labels=job.labels or {},
        tasks=tuple(_normal_task(task) for task in job.tasks or ()),
        reuse=_normal_reuse(job.reuse),
    )


def _normal_reuse(wanted: Reuse | None) -> Reuse | None:
    return None if wanted is None or wanted == Reuse() else replace(wanted, max_age="".join(wanted.max_age.split()))


def _count(kind: str, count: int | None) -> int:
    """A count over 1 stays where it is wrong, for `validate_job` to name it."""
    if kind in EVERYWHERE:
        return count if count is not None and count > 1 else 0
    return 1 if count is None else count


def _normal_task(task: Task) -> Task:
    return replace(
        task,
        name=task.name.strip(),
        engine=_normal_spec(task.engine),
        publisher=_normal_spec(task.publisher or SpecConfig()),
        env=task.env or None,
        meta=task.meta or None,
        input_sources=tuple(_normal_input(source) for source in task.input_sources or ()) or None,
        result_paths=task.result_paths or None,
        resources=_normal_resources(task.resources),
        network=_normal_network(task.network),
        timeouts=task.timeouts or Timeouts(),
        retry=None if task.retry is None else normal_retry(task.retry),
    )


def _normal_spec(spec: SpecConfig) -> SpecConfig:
    kind = spec.type.strip()
    return spec if kind == spec.type else replace(spec, type=kind)


def _normal_input(source: InputSource) -> InputSource:
    return replace(source, source=_normal_spec(source.source), alias=source.alias.strip(), target=source.target.strip())


def _normal_resources(wanted: ResourcesConfig | None) -> ResourcesConfig:
    if wanted is None:
        return ResourcesConfig()
    return ResourcesConfig(
        cpu=_packed(wanted.cpu), memory=_packed(wanted.memory), disk=_packed(wanted.disk), gpu=_packed(wanted.gpu)
    )


def _packed(text: str) -> str:
    return "".join(text.lower().split())


def _normal_network(network: NetworkConfig | None) -> NetworkConfig:
    if network is None:
        return NetworkConfig()
    kind = NetworkType.parse(network.type)
    return replace(
        network, type=kind.value if kind else network.type, domains=tuple(d.strip().lower() for d in network.domains)
    )


def sanitized(job: Job) -> tuple[Job, list[str]]:
    """The job without what only the server may set, and a warning for each thing taken away. Takes a normalized job."""
    warnings = [f"job {label} is ignored when submitting a job" for label, is_set in _owned(job) if is_set]
    job_id, tasks = job.id, job.tasks or ()
    if job_id and job.type in ("batch", "ops"):
        warnings.append("job ID is ignored when submitting a batch job")
        job_id = ""
    if len(tasks) > 1:
        warnings.append("only one task is supported per job")
    meta = job.meta or {}
    reserved = [key for key in meta if key.startswith(RESERVED_META)]
    warnings += [f'job meta key "{key}" is reserved and will be ignored' for key in reserved]
    if reserved:
        meta = {key: value for key, value in meta.items() if key not in reserved}
    timeless = tuple(_timeless(task) for task in tasks[:1]) if job.type in LONG_RUNNING else tasks[:1]
    if timeless != tasks[:1]:
        warnings.append(f"execution and total timeouts are ignored: a {job.type} job runs until it is stopped")
    blank = replace(
        job,
        count=1 if job.auto_count else job.count,
        state=JobState(),
        version=0,
        revision=0,
        create_time=0,
        modify_time=0,
        submit_time=0,
        inventory=None,
    )
    return unpinned(replace(blank, id=job_id, tasks=timeless, meta=meta, reuse=unlooked(job.reuse))), warnings


def unlooked(wanted: Reuse | None) -> Reuse | None:
    """Return the wish to use results again as a user has it, before anybody looked for any."""
    return None if wanted is None else replace(wanted, looked=0)


def _timeless(task: Task) -> Task:
    """Only the wait for a place has a limit where the run has none."""
    limits = task.timeouts or Timeouts()
    return replace(task, timeouts=Timeouts(queue_timeout=limits.queue_timeout))


def _owned(job: Job) -> tuple[tuple[str, bool], ...]:
    return (
        ("state", job.state != JobState()),
        ("revision", job.revision != 0),
        ("version", job.version != 0),
        ("count", job.auto_count and (job.count or 0) > 1),
        ("create time", job.create_time != 0),
        ("modify time", job.modify_time != 0),
        ("pinned results", unpinned(job) != job),
    )


def fill_defaults(job: Job, defaults: Mapping[str, JobDefault]) -> Job:
    """The job with the defaults of its type where it asks for nothing; a type without an entry gets `JobDefault()`."""
    default = defaults.get(job.type) or JobDefault()
    tasks = tuple(_filled(task, default) for task in job.tasks or ())
    return replace(job, priority=job.priority or default.priority, tasks=tasks)


def _filled(task: Task, default: JobDefault) -> Task:
    wanted, limits = task.resources or ResourcesConfig(), task.timeouts or Timeouts()
    resources = ResourcesConfig(
        cpu=wanted.cpu or _packed(default.resources.cpu),
        memory=wanted.memory or _packed(default.resources.memory),
        disk=wanted.disk or _packed(default.resources.disk),
        gpu=wanted.gpu or _packed(default.resources.gpu),
    )
    timeouts = Timeouts(
        execution_timeout=limits.execution_timeout or default.timeouts.execution_timeout,
        queue_timeout=limits.queue_timeout or default.timeouts.queue_timeout,
        total_timeout=limits.total_timeout or default.timeouts.total_timeout,
    )
    publisher = task.publisher if task.publisher and task.publisher.type else default.publisher
    return replace(task, resources=resources, timeouts=timeouts, publisher=publisher)


def validate_job(
    job: Job,
    engines: SpecChecks,
    sources: SpecChecks,
    publishers: SpecChecks,
    whole: SpecChecks = _NONE,
    divides: Mapping[str, Divide] = _UNDIVIDED,
) -> list[str]:
    """Every problem of a job as text, empty when it is good.

    The mappings are by lower-case type: what this system knows.

    `whole` are checks in place of the sources' own, for jobs that no count divides; `divides` say by how many bytes in
    a partition an input decides the count.
    """
    if job.type in EVERYWHERE:
        sources = {**sources, **whole}
    found = list(_job_problems(job))
    found += _auto_problems(job, divides)
    for number, requirement in enumerate(job.constraints or (), start=1):
        found += _constraint_problems(number, requirement)
    for task in job.tasks or ():
        found += [
            f"task {task.name} validation failed: {problem}"
            for problem in task_problems(task, engines, sources, publishers)
        ]
    return found


def list_problems(wrong: Iterable[str], found: Iterable[str]) -> list[str]:
    """The `wrong` fields of a text, and what was `found` in the job that the others make: there, what stood in a wrong
    field seems to be missing.
    """
    told = list(wrong)
    return [*told, *(problem for problem in found if not (told and "missing" in problem))]


def _job_problems(job: Job) -> Iterator[str]:
    if not job.type:
        yield "missing job type"
    elif job.type not in JOB_TYPES:
        yield f'invalid job type: "{job.type}" (use one of {", ".join(JOB_TYPES)})'
    yield from _count_problems(job.type, job.count or 0)
    if not -(2**63) <= job.priority < 2**63:
        yield f"job priority must be a whole number of 64 bits, not {job.priority}"
    yield from _name_problems(job)
    yield from reuse_problems(job)
    if not job.tasks:
        yield "missing job tasks"


def _name_problems(job: Job) -> Iterator[str]:
    for field, text in (("job name", job.name), ("job namespace", job.namespace)):
        if not is_name(text):
            yield control_problem(field, text) or f"{field} must be {NAME_WORDS}, not {shorten(text)!r}"
    if job.id and not is_identifier(job.id):
        yield f"job id must be {ID_WORDS}, not {shorten(job.id)!r}"
    yield from label_problems(job.labels or {}, "job label")


def _count_problems(kind: str, count: int) -> Iterator[str]:
    if count < 0:
        yield f"job count must be >= 0, not {count}"
    elif count > 1 and kind in EVERYWHERE:
        yield f"{kind} jobs cannot specify count > 1 as they run on all matching nodes"
    elif count > MAX_COUNT:
        yield f"job count must be <= {MAX_COUNT}, not {count}: submit several jobs"


def _auto_problems(job: Job, divides: Mapping[str, Divide]) -> list[str]:
    sources = [item.source for item in job.task.input_sources or ()]
    is_decided = any(divides[source.kind](source) for source in sources if source.kind in divides)
    if job.auto_count and job.type != "batch":
        return [f"count auto is for batch jobs, and this one is of type {job.type}: write a number, or leave it out"]
    if job.auto_count and not is_decided:
        cure = "such as -i s3://BUCKET/KEY*,opt=bytes-per-partition=10Gb, or write a number"
        return [f"count auto needs an input that says how many bytes make a partition: {cure}"]
    if is_decided and not job.auto_count:
        return [
            "bytes per partition of an input needs the count auto (Count: auto, --count auto): write that, or use"
            " the partition type bytes alone"
        ]
    return []


def _constraint_problems(number: int, requirement: LabelSelectorRequirement) -> list[str]:
    return [f"constraint {number} validation failed: {problem}" for problem in selector_problems(requirement)]


def strip_job(job: Job) -> Job:
    """Only what a user can ask for: no ids, states, versions, times or reserved meta; one spelling of resources."""
    plain, _ = sanitized(normalized(job))
    return replace(plain, id="")


def same_spec(a: Job, b: Job) -> bool:
    """Return True if two jobs ask for the same."""
    return strip_job(a) == strip_job(b)
