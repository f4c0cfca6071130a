"""Finds earlier results that a job may use again, before it is placed: each becomes a completed execution of it.

What decides a result is hashed for each partition (`models/job/reuse.py`), and the hashes are kept with the version of
the job. A result is used again only where a node finds it still in its place.
"""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.ids import evaluation_id, new_execution_id, short_id
from bacalhau.lib.wire import encode
from bacalhau.models.execution.event import Event, Topic, make_event
from bacalhau.models.execution.execution import (
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
)
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.inventory import Row, unpack_root, unpack_rows
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.reuse import CURE, ReuseKey, hash_partition, list_doubts, make_base, oldest_result
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.taken import kinds_of
from bacalhau.models.job.uses import Reuse, Reused
from bacalhau.models.wire.messages import ResolveInputsRequest, ResolveInputsResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.locating import nodes_to_ask
from bacalhau.ports.publisher import Published

AT_ONCE = 200  # partitions whose results are looked for and written together
ANSWER = 20.0  # seconds for a node to find results in their places


def must_look(job: Job) -> bool:
    """Tell whether earlier results are still to be looked for."""
    return job.reuse is not None and job.reuse.enabled and not job.reuse.looked and job.type == "batch"


def doubts_of(orch: Orchestrator, job: Job) -> list[str]:
    """List the reasons why results of a job are not used again, by what it asks for; none where it overrides them."""
    wanted = job.reuse or Reuse()
    if not wanted.enabled or wanted.unpinned:
        return []
    kind = job.task.engine.kind
    doubt = orch.checks.engine_doubts.get(kind)
    program = doubt(job.task.engine) if doubt else [f"engine {kind} does not say whether it always runs the same"]
    return list_doubts(job, program, orch.checks.fixed, orch.checks.listed)


class _Shares(NamedTuple):
    """Hashes of what the partitions read of listed inputs, by input: of each partition, or of all under -1.

    `unmarked` are the numbers of inputs of which some object has neither ETag nor version nor checksum.
    """

    by_input: Mapping[int, Mapping[int, bytes]]
    unmarked: frozenset[int]

    def of(self, partition: int) -> list[bytes]:
        """List the hashes that count for a partition."""
        return [
            b"%d " % number + found.get(-1, found.get(partition, b""))
            for number, found in sorted(self.by_input.items())
        ]


async def look_for_results(orch: Orchestrator, job: Job) -> tuple[Job, tuple[Event, ...]]:
    """Complete the partitions of a job whose results are there, and keep the hashes of all. Return the job as it is to
    be stored, with events about it. Raises Unavailable.
    """
    wanted, now = job.reuse or Reuse(), now_ns()
    done = replace(job, reuse=replace(wanted, looked=now))
    if job.inventory is not None and job.inventory.error:
        return done, ()
    shares = await _hash_shares(orch, job)
    doubts = doubts_of(orch, job) or _unmarked(orch, job, shares)
    if doubts:
        return done, (make_event(Topic.SCHEDULING, f"No result is used again: {'; '.join(doubts)}", now, Hint=CURE),)
    base = make_base(job)
    keys = {part: hash_partition(base, part, shares.of(part)) for part in range(job.wanted)}
    view = (await orch.views.load(orch.store, [job.id])).get(job.id)
    have = {e.partition_index for e in view.current()} if view else set()
    count = 0
    async for some in _find_each(orch, job, {part: key for part, key in keys.items() if part not in have}):
        count += len(some)
        await orch.commit(_change(job, keys, some, now))
    left = [ReuseKey(job_id=job.id, job_version=job.version, partition=p, key=key) for p, key in keys.items()]
    for start in range(0, len(left), AT_ONCE * 5):
        await orch.commit(Change(reuse_keys=tuple(left[start : start + AT_ONCE * 5])))
    text = f"Results used again for {count} of {job.wanted} partitions" if count else "No earlier result fits"
    return done, (make_event(Topic.SCHEDULING, text, now),)


def _unmarked(orch: Orchestrator, job: Job, shares: _Shares) -> list[str]:
    if job.reuse is not None and job.reuse.unpinned:
        return []
    inputs = job.task.input_sources or ()
    found = [inputs[number] for number in sorted(shares.unmarked)]
    return [
        f"objects of input {item.target} have neither ETag nor version"
        for item in found
        if not orch.checks.fixed.issuperset(kinds_of(item.source)[1:] or (item.source.kind,))
    ]


async def _hash_shares(orch: Orchestrator, job: Job) -> _Shares:
    if job.inventory is None or not job.inventory.root:
        return _Shares({}, frozenset())
    root = unpack_root(await orch.content.get(job.inventory.root))
    is_shared = {each.index: each.is_shared for each in root.inputs}
    found: dict[int, dict[int, hashlib._Hash]] = {index: {} for index in is_shared}
    unmarked = set[int]()
    for page in root.pages:
        for row in unpack_rows(await orch.content.get(page.name)):
            part = row.part if is_shared[page.input] else -1
            found[page.input].setdefault(part, hashlib.sha256()).update(_encoded(row))
            if not (row.etag or row.version or row.checksum):
                unmarked.add(page.input)
    hashes = {index: {part: each.digest() for part, each in parts.items()} for index, parts in found.items()}
    return _Shares(hashes, frozenset(unmarked))


def _encoded(row: Row) -> bytes:
    return encode(row._replace(part=0))


class _Found(NamedTuple):
    """An earlier execution whose result a partition may use."""

    partition: int
    execution: Execution


async def _find_each(orch: Orchestrator, job: Job, keys: Mapping[int, str]) -> AsyncIterator[list[_Found]]:
    """Find results for partitions, some at a time."""
    oldest = oldest_result(job.reuse or Reuse(), now_ns())
    todo = list(keys.items())
    for start in range(0, len(todo), AT_ONCE):
        some = todo[start : start + AT_ONCE]
        by_key: defaultdict[str, list[Execution]] = defaultdict(list)
        for key, execution in await orch.store.find_results([key for _, key in some]):
            if _may_be_used(execution, oldest):
                by_key[key].append(execution)
        found = [_Found(part, by_key[key][0]) for part, key in some if by_key[key]]
        held = await _keep_held(orch, job, found)
        if held:
            yield held


def _may_be_used(execution: Execution, oldest: int) -> bool:
    is_good = execution.state == ComputeStateType.COMPLETED and execution.publisher is None
    return is_good and _completed(execution) >= oldest


def _completed(execution: Execution) -> int:
    """Return when (Unix ns) the task ended whose result this is."""
    return execution.reused.completed if execution.reused else execution.modify_time


async def _keep_held(orch: Orchestrator, job: Job, found: Sequence[_Found]) -> list[_Found]:
    """Choose the results that a node finds in their places, or that are nothing but what was printed."""
    inputs = {each.partition: _as_input(orch, job, each.execution) for each in found}
    asked = [(part, item) for part, item in inputs.items() if item is not None]
    there = {each.partition for each in found if not each.execution.published_result.type}
    roots = {str((e.execution.published_result.params or {}).get("CID", "")) for e in found if _is_content(e.execution)}
    await orch.content.renew(sorted(roots))  # before a node looks, so that nothing of it goes afterwards
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        answers = await _ask(orch, job, [item for _, item in some])
        there |= {part for (part, _), is_there in zip(some, answers, strict=True) if is_there}
    return [each for each in found if each.partition in there]


def _is_content(execution: Execution) -> bool:
    return execution.published_result.kind == "ipfs"


def _as_input(orch: Orchestrator, job: Job, execution: Execution) -> InputSource | None:
    """Return the input that would bring a result; None where it has none, or none is known."""
    read = orch.checks.readers.get(job.task.publisher_type)
    if read is None or not execution.published_result.type:
        return None
    published = Published.of(execution, job, execution.published_result)
    if orch.checks.list_result_problems(published):
        return None
    return InputSource(source=read(published, "").source, target="/result")


async def _ask(orch: Orchestrator, job: Job, inputs: Sequence[InputSource]) -> list[bool]:
    """Ask a node which results are in their places; none where nobody answers, or they cannot be asked for."""
    kinds = {item.source.kind for item in inputs}
    try:
        linked = [replace(item, source=await orch.sign_input(item.source)) for item in inputs]
    except BacalhauError:
        return [False] * len(inputs)
    question = ResolveInputsRequest(inputs=tuple(linked))
    for node_id in nodes_to_ask(orch, job):
        node = orch.cluster.get(node_id)
        if node is None or not kinds.issubset(node.info.compute.storage_sources or ()):
            continue
        try:
            answer = await orch.bus.ask(node_id, question, ANSWER)
        except BacalhauError:
            continue
        if isinstance(answer, ResolveInputsResponse) and len(answer.inputs) == len(inputs):
            return [not each.error for each in answer.inputs]
    return [False] * len(inputs)


def _change(job: Job, keys: Mapping[int, str], found: Sequence[_Found], now: int) -> Change:
    made = tuple(_reuse(job, each, now) for each in found)
    return Change(
        new_executions=made,
        history=tuple(
            HistoryEntry(
                job_id=job.id,
                job_version=job.version,
                event=make_event(Topic.EXECUTION, e.compute_state.message, now),
                execution_id=e.id,
            )
            for e in made
        ),
        reuse_keys=tuple(
            ReuseKey(job_id=job.id, job_version=job.version, partition=each.partition, key=keys[each.partition])
            for each in found
        ),
    )


def _reuse(job: Job, found: _Found, now: int) -> Execution:
    """Make the execution of a partition that has the result of an earlier one."""
    earlier = found.execution
    origin = earlier.reused or Reused(
        job_id=earlier.job_id,
        job_version=earlier.job_version,
        execution_id=earlier.id,
        completed=earlier.modify_time,
    )
    text = f"Result of execution {short_id(origin.execution_id)} of job {short_id(origin.job_id)} used again"
    details = {"Reused": origin.execution_id, **(earlier.compute_state.details or {})}
    return Execution(
        id=new_execution_id(),
        namespace=job.namespace,
        eval_id=evaluation_id(job.id, job.version, 0),
        node_id=earlier.node_id,
        job_id=job.id,
        job_version=job.version,
        desired_state=DesiredState(state_type=DesiredStateType.STOPPED, message="execution completed"),
        compute_state=ComputeState(state_type=ComputeStateType.COMPLETED, message=text, details=details),
        published_result=earlier.published_result or SpecConfig(),
        run_output=earlier.run_output,
        partition_index=found.partition,
        reused=origin,
        revision=1,
        create_time=now,
        modify_time=now,
    )
