"""The right to publish: of all attempts at a partition one has it, a moment at a time, and the orchestrator says which.

A node that was frozen or cut off while its work was given to another must not publish late. So each step that makes a
result visible asks first, unless it asked a moment ago; who gets no answer waits.
"""

import logging

from bacalhau.compute.core import ComputeNode, Running
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, Conflict
from bacalhau.models.execution.execution import Execution
from bacalhau.models.wire.messages import PublishRequest, PublishResponse

VALID_NS = 2_000_000_000  # from the asking; an orchestrator waits longer than that before it places lost work elsewhere
ASK_AGAIN = 1.0  # seconds
log = logging.getLogger(__name__)


class Permit:
    """The permit of one execution. Orchestrators of other makes do not know of permits and are not asked."""

    def __init__(self, node: ComputeNode, execution: Execution, running: Running) -> None:
        self._node, self._execution, self._running = node, execution, running
        self._asked = 0

    async def confirm(self) -> None:
        """`ports.publisher.Confirm`."""
        node = self._node
        while node.told is None:  # whose orchestrator this is, is only known once it has answered
            await node.joined.wait(60)
        while node.is_fenced and now_ns() - self._asked > VALID_NS:
            await self._ask()

    async def _ask(self) -> None:
        asked = now_ns()
        request = PublishRequest(execution_id=self._execution.id, job_id=self._execution.job_id)
        try:
            answer = await self._node.bus.request(request, control=False)
        except BacalhauError as e:
            log.info("publishing %s waits for the orchestrator: %s", self._execution.id, e)
            await self._node.joined.wait(ASK_AGAIN)
            return
        if isinstance(answer, PublishResponse) and answer.granted:
            self._asked = asked
            return
        reason = getattr(answer, "reason", "") or "no reason was given"
        log.warning("execution %s does not publish: %s", self._execution.id, reason)
        await self._running.give_up()
        raise Conflict(f"this attempt may not publish: {reason}")
