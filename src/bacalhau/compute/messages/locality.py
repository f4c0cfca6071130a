"""Answers to the question whether this node has an input already. Admission may insist on it, and the orchestrator asks
before it places a job.
"""

import asyncio

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import InputPresence
from bacalhau.ports.storage import Located


async def locate(node: ComputeNode, source: SpecConfig, seconds: float) -> InputPresence:
    """Tell whether an input is here; one that is not found within `seconds`, or not now, is not."""
    storage = node.plugins.sources.get(source.kind)
    if not isinstance(storage, Located):
        return InputPresence()
    try:
        async with asyncio.timeout(seconds):
            return InputPresence(here=await storage.is_here(source))
    except StorageFailure as e:
        return InputPresence(error="" if e.retryable else e.message)
    except (BacalhauError, TimeoutError):
        return InputPresence()
