"""Today's job drawn as the older generation's `list`, `describe` and `--dry-run` show it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from bacalhau.lib.clock import ZERO_TIME, rfc3339
from bacalhau.lib.wire import convert_all, fold_keys
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import ComputeStateType, Execution, RunCommandResult
from bacalhau.models.job.job import CLIENT_META, InputSource, Job, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.seed.results import param, published_text, result_view, storage_view
from bacalhau.models.seed.seed import (
    SeedChange,
    SeedDeal,
    SeedDocker,
    SeedEngine,
    SeedExecution,
    SeedHistory,
    SeedJob,
    SeedJobWithInfo,
    SeedMetadata,
    SeedNetwork,
    SeedPublisher,
    SeedRequester,
    SeedResources,
    SeedRunOutput,
    SeedSelector,
    SeedSpec,
    SeedState,
    SeedStorage,
)

_S = JobStateType
_JOB_STATES = {
    _S.PENDING: "New",
    _S.QUEUED: "Queued",
    _S.RUNNING: "InProgress",
    _S.COMPLETED: "Completed",
    _S.FAILED: "Error",
    _S.STOPPED: "Cancelled",
}
_RUNNING = (ComputeStateType.BID_ACCEPTED, ComputeStateType.RUNNING, ComputeStateType.PUBLISHING)


class SeedRow(NamedTuple):
    """A row of the older `list`: `created` in Unix ns, `job` is the engine as text, `published` "" when nothing is."""

    created: int
    id: str
    job: str
    state: str
    published: str


def seed_job(job: Job, executions: Sequence[Execution], history: Iterable[JobHistory] | None = None) -> dict[str, Any]:
    """The `{Job, State}` tree of the older `describe --json`, with `History` when it is given."""
    drawn = None if history is None else tuple(seed_history(job, executions, history))
    return _builtins(msgspec.structs.replace(seed_info(job, executions), history=drawn))


def seed_info(job: Job, executions: Sequence[Execution]) -> SeedJobWithInfo:
    """Draw a job with its state, without history."""
    return SeedJobWithInfo(job=SeedJob(metadata=_metadata(job), spec=_spec(job)), state=seed_state(job, executions))


def seed_submitted(job: Job, api_version: str) -> SeedJob:
    """The job as the answer to its submission shows it: engine and publisher in both of that generation's spellings."""
    spec = _spec(job)
    both: dict[str, Any] = {"engine": spec.engine_spec.type, "publisher": spec.publisher_spec.type}
    if job.task.engine.is_type("docker"):
        folded, _ = fold_keys(
            {key: value for key, value in (spec.engine_spec.params or {}).items() if value}, SeedDocker
        )
        both["docker"] = convert_all(folded, SeedDocker)
    return SeedJob(api_version=api_version, metadata=_metadata(job), spec=msgspec.structs.replace(spec, **both))


def seed_dry_run(job: Job) -> dict[str, Any]:
    """The job as the older `--dry-run` prints it: not submitted, so without metadata."""
    spec = _spec(job)
    outputs = (
        tuple(msgspec.structs.replace(o, storage_source=spec.publisher_spec.type) for o in spec.outputs or ()) or None
    )
    return _builtins(SeedJob(spec=msgspec.structs.replace(spec, publisher=spec.publisher_spec.type, outputs=outputs)))


def seed_list_row(job: Job, executions: Sequence[Execution]) -> SeedRow:
    """The job's own state is shown, in the older words; a failed job that was tried is `Failed`."""
    done = next((e for e in executions if e.state == ComputeStateType.COMPLETED), None)
    state = (
        "Failed" if job.state.state_type == JobStateType.FAILED and executions else job_state_text(job.state.state_type)
    )
    return SeedRow(
        job.create_time, job.id, _engine_text(job.task), state, published_text(done.published_result) if done else ""
    )


def job_state_text(state: JobStateType) -> str:
    """`Running` → `InProgress`."""
    return _JOB_STATES.get(state, "Undefined")


def execution_state_text(state: ComputeStateType) -> str:
    """The older generation had no word for running and publishing: the bid is accepted."""
    return ComputeStateType.BID_ACCEPTED.label if state in _RUNNING else state.label


def _builtins(value: Any) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(value)
    return tree


def _metadata(job: Job) -> SeedMetadata:
    meta = job.meta or {}
    requester = meta.get("bacalhau.org/orchestrator.id") or meta.get("bacalhau.org/requester.id") or ""
    return SeedMetadata(
        id=job.id,
        created_at=rfc3339(job.create_time),
        client_id=meta.get("bacalhau.org/client.id") or meta.get(CLIENT_META) or "",
        requester=SeedRequester(requester_node_id=requester),
    )


def _spec(job: Job) -> SeedSpec:
    task = job.task
    return SeedSpec(
        engine_spec=SeedEngine(type=task.engine.type, params=_engine_params(task)),
        publisher_spec=_publisher(task.publisher or SpecConfig()),
        resources=_resources(task.resources or ResourcesConfig()),
        network=_network(task.network or NetworkConfig()),
        timeout=_timeout(task),
        inputs=tuple(_input(source) for source in task.input_sources or ()) or None,
        outputs=tuple(SeedStorage(name=r.name, path=r.path) for r in task.result_paths or ()) or None,
        annotations=tuple(job.labels or ()) or None,
        node_selectors=tuple(
            SeedSelector(key=c.key, operator=c.operator, values=c.values) for c in job.constraints or ()
        )
        or None,
        deal=SeedDeal(targeting_mode=job.type == "ops", concurrency=job.wanted),
    )


def _publisher(publisher: SpecConfig) -> SeedPublisher:
    return SeedPublisher(
        type=publisher.type, params=dict(sorted(publisher.params.items())) if publisher.params else None
    )


def _engine_params(task: Task) -> dict[str, Any] | None:
    """Sorted; the task's own variables join those of the engine, which is where the older generation kept them."""
    params = task.engine.params
    if not task.env:
        return dict(sorted(params.items())) if params is not None else None
    spelled = next((key for key in params or {} if key.lower() == "environmentvariables"), "EnvironmentVariables")
    variables = [*(param(params, spelled) or ()), *(f"{name}={value}" for name, value in task.env.items())]
    return dict(sorted({**(params or {}), spelled: variables}.items()))


def _timeout(task: Task) -> int:
    limits = task.timeouts or Timeouts()
    return limits.execution_timeout or limits.total_timeout


def _resources(wanted: ResourcesConfig) -> SeedResources:
    """Sizes in plain bytes, the one way of writing them that both generations read alike."""
    return SeedResources(
        cpu=wanted.cpu, memory=_bytes_text(wanted.memory), disk=_bytes_text(wanted.disk), gpu=wanted.gpu
    )


def _bytes_text(text: str) -> str:
    wanted = ResourcesConfig(memory=text)
    return str(wanted.parsed().memory) if text and not wanted.problems() else text


def _network(network: NetworkConfig) -> SeedNetwork:
    kind = network.kind()
    word = kind.value if kind in (NetworkType.NONE, NetworkType.HTTP) else "Full"
    return SeedNetwork(type=word, domains=network.domains or None)


def _input(source: InputSource) -> SeedStorage:
    return msgspec.structs.replace(storage_view(source.source), name=source.alias, path=source.target)


def seed_state(job: Job, executions: Sequence[Execution]) -> SeedState:
    limit = _timeout(job.task)
    return SeedState(
        job_id=job.id,
        executions=tuple(_execution(e) for e in executions),
        state=job_state_text(job.state.state_type),
        version=job.revision,
        create_time=rfc3339(job.create_time),
        update_time=rfc3339(job.modify_time),
        timeout_at=rfc3339(job.create_time + limit * 1_000_000_000) if limit and job.create_time else ZERO_TIME,
    )


def _execution(execution: Execution) -> SeedExecution:
    texts = (execution.compute_state.message, execution.desired_state.message)
    return SeedExecution(
        job_id=execution.job_id,
        node_id=execution.node_id,
        compute_reference=execution.id,
        state=execution_state_text(execution.state),
        status=". ".join(texts) if any(texts) else "",
        desired_state=int(execution.desired_state.state_type),
        published_results=result_view(execution.published_result) if execution.published_result.type else SeedStorage(),
        run_output=_run_output(execution),
        version=execution.revision,
        create_time=rfc3339(execution.create_time),
        update_time=rfc3339(execution.modify_time),
    )


def _run_output(execution: Execution) -> SeedRunOutput | None:
    """Draw the output of an execution, None while nothing ran: an empty record means something only for a completed
    execution.
    """
    output = execution.run_output
    if output is None or (output == RunCommandResult() and execution.state != ComputeStateType.COMPLETED):
        return None
    return SeedRunOutput(
        stdout=output.stdout,
        stdouttruncated=output.stdout_truncated,
        stderr=output.stderr,
        stderrtruncated=output.stderr_truncated,
        exit_code=output.exit_code,
        runner_error=output.error_msg,
    )


def seed_history(job: Job, executions: Sequence[Execution], history: Iterable[JobHistory]) -> list[SeedHistory]:
    """Entries in the older shape; the last entry of the job, and of each execution, carries its present state."""
    items = list(history)
    by_id = {e.id: e for e in executions}
    present = {e.id: execution_state_text(e.state) for e in executions} | {"": job_state_text(job.state.state_type)}
    last = {item.execution_id: at for at, item in enumerate(items)}
    states: dict[str, str] = {}
    versions: dict[str, int] = {}
    drawn = []
    for at, item in enumerate(items):
        key = item.execution_id
        versions[key] = versions.get(key, 0) + 1
        previous = states.get(key, "New")
        states[key] = present[key] if last[key] == at and key in present else _new_state(item, previous)
        drawn.append(_history_item(item, by_id.get(key), SeedChange(previous=previous, new=states[key]), versions[key]))
    return drawn


def _new_state(item: JobHistory, previous: str) -> str:
    details = item.event.details or {}
    text = details.get("NewState", "")
    if item.execution_id:
        known = next((s for s in ComputeStateType if s.label == text), None)
        return (
            execution_state_text(known) if known else "Failed" if details.get("FailsExecution") == "true" else previous
        )
    return job_state_text(JobStateType(text)) if text else previous


def _history_item(item: JobHistory, execution: Execution | None, change: SeedChange, version: int) -> SeedHistory:
    of_execution = bool(item.execution_id)
    return SeedHistory(
        type=item.type,
        job_id=item.job_id,
        node_id=execution.node_id if execution else "",
        compute_reference=item.execution_id,
        job_state=None if of_execution else change,
        execution_state=change if of_execution else None,
        new_version=version,
        comment=item.event.message,
        time=item.time,
    )


def _engine_text(task: Task) -> str:
    return f'Type:"{task.engine.type}",Params:"{_go_text(_engine_params(task) or {})}"'


def _go_text(value: Any) -> str:
    """A value as Go prints it with `%v`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(_go_text(item) for item in value)}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
