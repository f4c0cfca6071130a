"""Whether this node takes an execution: asked before anything is prepared, answered with every reason against it."""

import asyncio
from collections.abc import Container

from bacalhau.compute.policy import resolve_env
from bacalhau.compute.service import ComputeNode
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.wire import Model, encode
from bacalhau.models.admission import list_objections
from bacalhau.models.execution import Execution
from bacalhau.models.job import InputSource, Job, Task
from bacalhau.ports.storage import Located


class _Question(Model):
    job: Job


async def find_refusal(node: ComputeNode, execution: Execution) -> str:
    """Why the node does not take it; "" when it does. Probes are asked only when nothing else is against it."""
    job = execution.job or Job()
    reasons = [
        *list_objections(job.task, node.admission.policy),
        *_missing_plugins(node, job.task),
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
    wanted += [("read inputs from", source.source.type, node.plugins.sources) for source in task.input_sources or ()]
    if task.publisher and not task.publisher.is_type("", "noop"):
        wanted.append(("publish to", task.publisher.type, node.plugins.publishers))
    return [f"cannot {verb} {kind.strip().lower()}" for verb, kind, known in wanted if kind.strip().lower() not in known]


async def _find_distant(node: ComputeNode, task: Task) -> list[str]:
    distant = [source for source in task.input_sources or () if not await _is_here(node, source)]
    return [f"accepts only inputs that it has already, which {source.alias or source.source.type} is not" for source in distant]


async def _is_here(node: ComputeNode, source: InputSource) -> bool:
    storage = node.plugins.sources[source.source.type.strip().lower()]
    if not isinstance(storage, Located):
        return False
    try:
        async with asyncio.timeout(node.read_timeout):
            return await storage.is_here(source.source)
    except (BacalhauError, TimeoutError):
        return False
