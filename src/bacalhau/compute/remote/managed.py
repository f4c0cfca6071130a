"""Asks the orchestrator where an execution's result may be put."""

from bacalhau.lib.errors import Unavailable
from bacalhau.models.wire import messages as m
from bacalhau.ports.bus import NodeBus

SECONDS = 30.0


async def ask_upload_link(bus: NodeBus, job_id: str, execution_id: str) -> str:
    answer = await bus.request(
        m.PreSignURLRequest(execution_id=execution_id, job_id=job_id), control=False, seconds=SECONDS
    )
    if not isinstance(answer, m.PreSignURLResponse) or not answer.pre_signed_url:
        raise Unavailable("the orchestrator gave no link to publish to")
    return answer.pre_signed_url
