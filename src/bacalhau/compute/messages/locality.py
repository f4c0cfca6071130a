"""Answers to the question whether this node has an input already. Admission may insist on it, and the orchestrator asks
before it places a job.
"""

import asyncio

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import InputPresence
from bacalhau.ports.storage import Located, Reusable, Storage


async def locate(node: ComputeNode, source: SpecConfig, seconds: float) -> InputPresence:
    """Tell whether an input is here; one that is not found within `seconds`, or not now, is not."""
    storage = node.plugins.sources.get(source.kind)
    try:
        async with asyncio.timeout(seconds):
            kept = await measure_kept(node, storage, source)
            here = isinstance(storage, Located) and await storage.is_here(source)
            return InputPresence(here=here, bytes=kept)
    except StorageFailure as e:
        return InputPresence(error="" if e.retryable else e.message)
    except (BacalhauError, TimeoutError):
        return InputPresence()


async def measure_kept(node: ComputeNode, storage: Storage | None, source: SpecConfig) -> int:
    """Return the bytes of what an input may hold that the node's cache has. Raises StorageFailure and Unavailable."""
    if node.cache is None or not isinstance(storage, Reusable):
        return 0
    return await node.cache.measure(await storage.name_place(source))
