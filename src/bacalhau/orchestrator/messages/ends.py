"""The end of what was stopped, or given up with its node, noted when the node tells of it: until then it may still run
there.
"""

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.models.execution.event import Event, Topic, make_event
from bacalhau.models.execution.execution import KEPT_BYTES, KEPT_UNTIL, ComputeStateType, Execution, RunCommandResult
from bacalhau.models.job.retry import FAILURE_KIND, NODE_LOST
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import BidResult, ComputeError, RunResult
from bacalhau.orchestrator.state.proofs import without_excess

ENDED_AT, EXIT_CODE = "EndedAt", "ExitCode"
"""Keys in `ComputeState.Details` of an execution that was stopped: when its node said that nothing of it runs any more,
and its code.
"""


def wants_end(execution: Execution, message: RunResult | ComputeError | BidResult) -> bool:
    """Tell whether a message brings the end of an execution that is over by our own decision. Once."""
    details = execution.compute_state.details or {}
    if isinstance(message, BidResult) or ENDED_AT in details:
        return False
    return execution.state == ComputeStateType.CANCELLED or details.get(FAILURE_KIND) == NODE_LOST


def note_end(
    execution: Execution, message: RunResult | ComputeError | BidResult
) -> tuple[Execution, tuple[Event, ...]]:
    """The execution with its output so far; its state and when it came to it stay."""
    output = (None if isinstance(message, BidResult) else message.run_command_result) or RunCommandResult(exit_code=-1)
    published = None if isinstance(message, BidResult) else message.publish_result
    details = dict(execution.compute_state.details or {}) | {
        ENDED_AT: rfc3339(now_ns()),
        EXIT_CODE: str(output.exit_code),
    }
    told = None if isinstance(message, BidResult) or not message.events else message.events[0].details
    details |= {key: value for key, value in (told or {}).items() if key in (KEPT_UNTIL, KEPT_BYTES)}
    state = replace(execution.compute_state, details=details)
    ended = replace(
        execution,
        compute_state=state,
        run_output=output,
        published_result=published or SpecConfig(),
        proof=None if isinstance(message, BidResult) else without_excess(message.proof),
        revision=execution.revision + 1,
    )
    return ended, message.events or (make_event(Topic.EXECUTION, "Ended on its node", now_ns()),)
