"""Asks the orchestrator for links: where an execution's result may be put, and where one that it reads is."""

from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.links import PreSignURLRequest, PreSignURLResponse, SignInputRequest, SignInputResponse
from bacalhau.ports.bus import NodeBus

SECONDS = 30.0


async def ask_upload_link(bus: NodeBus, job_id: str, execution_id: str) -> str:
    answer = await bus.request(
        PreSignURLRequest(execution_id=execution_id, job_id=job_id), control=False, seconds=SECONDS
    )
    if not isinstance(answer, PreSignURLResponse) or not answer.pre_signed_url:
        raise Unavailable("the orchestrator gave no link to publish to")
    return answer.pre_signed_url


async def ask_input_link(bus: NodeBus, source: SpecConfig) -> SpecConfig:
    """Ask for an input with the link by which it is fetched. Raises BacalhauError."""
    answer = await bus.request(SignInputRequest(source=source), control=False, seconds=SECONDS)
    if not isinstance(answer, SignInputResponse):
        raise Unavailable("the orchestrator gave no link to the input")
    return answer.source
