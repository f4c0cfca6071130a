"""Reports of an execution's end: how it went, or that it is over after it was cancelled.

The end of a cancelled execution travels as an error, which an orchestrator of another make ignores for what it has
cancelled itself.
"""

from msgspec.structs import replace

from bacalhau.border.names import shorten
from bacalhau.compute.execution.runner import Outcome
from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.event import Event, Topic, error_event, make_event
from bacalhau.models.execution.execution import KEPT_UNTIL, Execution, RunCommandResult
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import CANCELLED, ENGINE, FAILURE_KIND, PUBLISH
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire import messages as m

_NAMED = 10  # files that one warning names


def tell_outcome(execution: Execution, outcome: Outcome) -> m.RunResult | m.ComputeError:
    if outcome.error:
        event = error_event(outcome.topic, outcome.error, now_ns())
        event = replace(event, details=(event.details or {}) | {FAILURE_KIND: outcome.kind or ENGINE})
        told = _error(execution, event, outcome.output)
        return replace(told, events=(event, *_warnings(outcome)), publish_result=outcome.published, proof=outcome.proof)
    job = execution.job or Job()
    return m.RunResult(
        execution_id=execution.id,
        job_id=job.id,
        job_type=job.type,
        events=(make_event(Topic.EXECUTION, "Completed successfully", now_ns()), *_warnings(outcome)),
        publish_result=outcome.published or SpecConfig(),
        run_command_result=outcome.output,
        image=outcome.image,
        proof=outcome.proof,
    )


def _warnings(outcome: Outcome) -> tuple[Event, ...]:
    """Tell of what is missing in the result."""
    if not outcome.left_out:
        return ()
    more = len(outcome.left_out) - _NAMED
    names = ", ".join(repr(shorten(name)) for name in outcome.left_out[:_NAMED])
    text = f"Left out of the result, being sockets, pipes or devices: {names}{f' and {more} more' if more > 0 else ''}"
    return (make_event(Topic.PUBLISHING_RESULTS, text, now_ns()),)


def tell_cancelled(execution: Execution, output: RunCommandResult) -> m.ComputeError:
    """Nothing of it runs any more; `output` is what it had printed."""
    text = "Stopped before it ran" if output.exit_code < 0 else f"Stopped with exit code {output.exit_code}"
    return _error(execution, make_event(Topic.EXECUTION, text, now_ns(), **{FAILURE_KIND: CANCELLED}), output)


def tell_gone(wanted: m.PublishOutputs) -> m.ComputeError:
    """Report that outputs which are to be published are not kept any more."""
    text = "the outputs are no longer kept on the node: their time was over, or its disk was needed"
    details = {"IsError": "true", FAILURE_KIND: PUBLISH, KEPT_UNTIL: "", "Hint": "run the job again"}
    if wanted.may_run_again:
        details["Retryable"] = "true"
    event = make_event(Topic.PUBLISHING_RESULTS, text, now_ns(), **details)
    return m.ComputeError(execution_id=wanted.execution_id, job_id=wanted.job_id, events=(event,))


def _error(execution: Execution, event: Event, output: RunCommandResult | None) -> m.ComputeError:
    job = execution.job or Job()
    return m.ComputeError(
        execution_id=execution.id, job_id=job.id, job_type=job.type, events=(event,), run_command_result=output
    )
