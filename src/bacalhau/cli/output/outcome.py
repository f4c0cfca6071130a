"""The end of a job in words: the root cause, what each node said, and exit codes that are not 0."""

import sys
from collections.abc import Mapping, Sequence

import click

from bacalhau.cli.frame.report import GREEN, painted
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.block import can_show
from bacalhau.cli.output.live import show_time
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType
from bacalhau.models.seed.results import published_text

_PLACES = 8  # results that are named, one a line


def cause_of(job: Job, events: Sequence[JobHistory]) -> tuple[str, str]:
    """Return message and hint. The job's own message is the root cause; where it has none, its last error event is."""
    errors = [e.event for e in events if e.event.is_error]
    hints = [hint for e in reversed(errors) if (hint := (e.details or {}).get("Hint", ""))]
    if job.state.state_type == JobStateType.STOPPED:
        return f"job {short_id(job.id)} was stopped: {job.state.message or 'no reason was given'}", ""
    message = job.state.message or (errors[-1].message if errors else "job failed")
    return message, hints[0] if hints else f"see `bacalhau describe {job.id}`"


def wants_code(environ: Mapping[str, str], *, exit_code: bool, wait: bool) -> bool:
    """Tell whether the command shall end as the job's container did. Raises UsageError where it would not wait."""
    if exit_code and not wait:
        raise click.UsageError("--exit-code needs the job to end: it cannot be used with --wait=false")
    return exit_code or environ.get("BACALHAU_EXIT_CODE", "").lower() in ("1", "t", "true")


def exit_code_of(executions: Sequence[Execution], otherwise: int) -> int:
    """The first container's code that is not 0, of several partitions in order."""
    ordered = sorted(executions, key=lambda e: (e.partition_index, e.create_time))
    codes = [e.run_output.exit_code for e in ordered if e.run_output and e.run_output.exit_code]
    return codes[0] if codes else otherwise


def say_exit_codes(executions: Sequence[Execution]) -> None:
    for execution in executions:
        output = execution.run_output
        if execution.state == ComputeStateType.COMPLETED and output and output.exit_code:
            say(
                f"{short_id(execution.id)} exited with code {output.exit_code} on {short_id(execution.node_id)}",
                err=True,
            )


def say_results(executions: Sequence[Execution], seconds: float) -> None:
    """Say on a terminal how long a job took that went well, and where its results are."""
    done = [e for e in executions if e.state == ComputeStateType.COMPLETED]
    say(f"{painted('✓' if can_show('✓', sys.stdout) else '+', GREEN, sys.stdout)} completed in {_in_words(seconds)}")
    places = dict.fromkeys(place for e in done if (place := published_text(e.published_result)))
    for place in [*places][:_PLACES]:
        say(f"  {place}")
    if len(places) > _PLACES:
        say(f"  and {len(places) - _PLACES} more results")


def _in_words(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else show_time(seconds)


def say_nodes(executions: Sequence[Execution]) -> None:
    """Each distinct message once, with the nodes that gave it."""
    nodes: dict[str, dict[str, None]] = {}
    for execution in executions:
        message = _message_of(execution)
        if message:
            nodes.setdefault(message, {})[short_id(execution.node_id)] = None
    if nodes:
        say("\nJob Results By Node:")
    for message, names in nodes.items():
        text = message if "\n" not in message else "\n" + "\n".join(f"\t{line}" for line in message.splitlines())
        say(f"• Node {', '.join(names)}: {text}")


def _message_of(execution: Execution) -> str:
    """Return the node's message about a failure, else what the task printed."""
    output = execution.run_output
    if execution.state in (
        ComputeStateType.FAILED,
        ComputeStateType.ASK_FOR_BID_REJECTED,
        ComputeStateType.BID_REJECTED,
    ):
        return execution.compute_state.message
    if output is None:
        return ""
    return (output.error_msg or (output.stderr if output.exit_code else output.stdout)).rstrip("\n")
