"""Admission: before anything is prepared, a node says whether it takes an execution, with every reason against."""

from collections.abc import Container

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.messages.locality import locate
from bacalhau.compute.state.policy import resolve_env
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.taken import kinds_of
from bacalhau.models.node.admission import list_objections


class _Question(Model):
    job: Job


async def find_refusal(node: ComputeNode, execution: Execution) -> str:
    """Find the reasons why the node does not take an execution; "" when it does. Probes are asked last."""
    job = execution.job or Job()
    reasons = [
        *list_objections(job.task, node.admission.policy),
        *_missing_plugins(node, job.task),
        *node.plugins.list_objections(job),
        *node.capacity.total.lacks(execution.reserved),
        *resolve_env(job.task.env or {}, node.admission)[1],
    ]
    if not reasons and node.admission.local_only:
        reasons += await _find_distant(node, job.task)
    if not reasons and node.admission.probes:
        question = encode(_Question(job=job))
        for probe in node.admission.probes:
            reasons += filter(None, [await probe.ask(question)])
    return "; ".join(reasons)


def _missing_plugins(node: ComputeNode, task: Task) -> list[str]:
    wanted: list[tuple[str, str, Container[str]]] = [("run", task.engine.type, node.plugins.engines)]
    kinds = [kind for item in task.input_sources or () for kind in kinds_of(item.source)]
    wanted += [("read inputs from", kind, node.plugins.sources) for kind in kinds]
    if task.publisher_type:
        wanted.append(("publish to", task.publisher_type, node.plugins.publishers))
    return [
        f"cannot {verb} {kind.strip().lower()}" for verb, kind, known in wanted if kind.strip().lower() not in known
    ]


async def _find_distant(node: ComputeNode, task: Task) -> list[str]:
    distant = [
        source for source in task.input_sources or () if not (await locate(node, source.source, node.read_timeout)).here
    ]
    return [
        f"accepts only inputs that it has already, which {source.alias or source.source.type} is not"
        for source in distant
    ]
