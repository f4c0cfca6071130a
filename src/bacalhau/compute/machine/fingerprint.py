"""The description of this node: its capacity, its labels, and the plug-ins that work right now."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.machine.gpus import gpu_labels
from bacalhau.lib.aio import together
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.node.admission import NodePolicy
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.node.version import this_version

CHECK_LIMIT = 10.0  # seconds
log = logging.getLogger(__name__)


class Checkable(Protocol):
    async def check(self) -> None: ...


async def describe_node(node: ComputeNode) -> NodeInfo:
    """Checks every plug-in; those that do not work are left out, with the reason."""
    plugins = node.plugins
    engines, sources, publishers = await together(
        _working(node, plugins.engines, "engine"),
        _working(node, plugins.sources, "source"),
        _working(node, plugins.publishers, "publisher"),
    )
    total = node.capacity.total
    info = ComputeNodeInfo(
        execution_engines=engines,
        storage_sources=sources,
        publishers=publishers,
        max_capacity=total,
        max_job_requirements=total,
        available_capacity=node.capacity.free,
        queue_capacity=node.capacity.queued,
        running_executions=len(node.running),
        unavailable={**node.unavailable, **node.gpu_problems},
        cures=dict(node.cures),
        max_executions=node.capacity.executions,
        policy=node.admission.policy if node.admission.policy != NodePolicy() else None,
    )
    labels = machine_labels(node.node_id) | gpu_labels(total.gpus) | dict(node.labels)
    return NodeInfo(node_id=node.node_id, labels=labels, compute_node_info=info, bacalhau_version=this_version())


async def is_engine_back(node: ComputeNode) -> bool:
    """Check the engines that the orchestrator knows as not working; True when one of them works again."""
    missing = (node.plugins.engines[name] for name in node.missing_engines)
    return any([not reason for reason, _ in await together(*(ask_plugin(engine, logging.DEBUG) for engine in missing))])


def machine_labels(name: str) -> dict[str, str]:
    build = this_version()
    return {"name": name, "os_type": build.goos, "os_arch": build.goarch}


async def _working(node: ComputeNode, plugins: Mapping[str, Checkable], role: str) -> tuple[str, ...]:
    states = await together(*(ask_plugin(plugin) for plugin in plugins.values()))
    for name, (reason, cure) in zip(plugins, states, strict=True):
        if role == "engine" or node.told:  # at the start, of the others many are not set up on purpose
            _log_change(f"{name} {role}", node.unavailable.get(f"{name} {role}", ""), reason)
        for told, text in ((node.unavailable, reason), (node.cures, cure)):
            if text:
                told[f"{name} {role}"] = text
            else:
                told.pop(f"{name} {role}", None)
    return tuple(sorted(name for name, (reason, _) in zip(plugins, states, strict=True) if not reason))


def _log_change(what: str, before: str, reason: str) -> None:
    """Log once that a plug-in does not work, with the reason, and once that it works again."""
    if reason and reason != before:
        log.warning("the %s of this node does not work: %s", what, reason)
    elif before and not reason:
        log.info("the %s of this node works again", what)


async def ask_plugin(plugin: Checkable, level: int = logging.WARNING) -> tuple[str, str]:
    """Ask a plug-in why it does not work, and what to do about it; two empty texts when it does.

    A check that fails itself is logged at `level`.
    """
    try:
        async with asyncio.timeout(CHECK_LIMIT):
            await plugin.check()
    except BacalhauError as e:
        return e.message, e.hint
    except TimeoutError:
        return f"did not answer within {CHECK_LIMIT:.0f} s", ""
    except Exception as e:  # of a plug-in from another package, which must not take the node with it
        log.log(level, "a plug-in's check failed", exc_info=e)
        return f"its own check fails: {type(e).__name__}: {e}", ""
    return "", ""
