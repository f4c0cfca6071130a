"""`job publish`: outputs that nodes kept, because they could not be published, are published after all."""

import asyncio
from collections.abc import Sequence

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import say_error
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import JobPublish
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.plugins.uris import parse_publisher


def job_publish(call: Call[JobPublish]) -> int:
    """Publish and wait for it; exit code 1 when an execution could not be published."""
    return asyncio.run(_publish(call))


async def _publish(call: Call[JobPublish]) -> int:
    flags = call.flags
    publisher = parse_publisher(flags.publisher) if flags.publisher else None
    async with connect(call.settings) as client:
        job = await client.get_job(call.args[0], namespace=flags.namespace)
        say(f"Publishing the outputs of job {short_id(job.id)} that were kept...", err=True)
        executions = await client.publish(job.id, publisher, execution_id=flags.execution_id, namespace=flags.namespace)
    code = _say_ends(executions)
    if any(execution.published_result.type for execution in executions):
        say(f"To download the results, execute:\n\tbacalhau job get {job.id}")
    return code


def _say_ends(executions: Sequence[Execution]) -> int:
    """Print how the publishing of each execution ended; return the exit code."""
    code = 0
    for execution in executions:
        name, state = short_id(execution.id), execution.compute_state
        if execution.state == ComputeStateType.COMPLETED:
            say(f"{name}: published ({execution.published_result.type})")
        else:
            hint = (state.details or {}).get("Hint", "")
            code = say_error(f"{name} was not published: {state.message or execution.state.label}", hint)
    return code
