"""`cancel` and `job stop`: look whether the job can be stopped, and stop it."""

import asyncio
from typing import NamedTuple

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import JobStop
from bacalhau.cli.job.flags import Quiet
from bacalhau.cli.output.steps import FAILED, Steps
from bacalhau.lib.errors import BacalhauError, Conflict
from bacalhau.models.seed.view import job_state_text


class Words(NamedTuple):
    """`done` has places for the job's and the evaluation's id."""

    step: str
    reason: str
    done: str
    is_seed: bool


_CANCEL = Words("Canceling job", "Canceled at user request", "\nJob successfully canceled. Job ID: {job}", True)
_STOP = Words(
    "Stopping job",
    "Stopped at user request",
    "\nJob stop successfully submitted with evaluation ID: {evaluation}",
    False,
)


def cancel(call: Call[Quiet]) -> int:
    return asyncio.run(_stop(call, _CANCEL))


def job_stop(call: Call[JobStop]) -> int:
    return asyncio.run(_stop(call, _STOP, call.flags.namespace))


async def _stop(call: Call[Quiet], words: Words, namespace: str = "") -> int:
    quiet = call.flags.quiet
    steps = _Quiet() if quiet else Steps(width=len("Connecting to network"))
    if not quiet:
        say("Checking job status\n")
    steps.begin("Connecting to network")
    try:
        async with connect(call.settings) as client:
            steps.begin("Verifying job state")
            job = await client.get_job(call.args[0], namespace=namespace)
            if job.is_done:
                state = job_state_text(job.state.state_type) if words.is_seed else job.state.state_type.value
                raise Conflict(f"Job is already in a terminal state.\nThe current state is: {state}")
            steps.begin(words.step)
            evaluation = await client.stop(job.id, words.reason, namespace=namespace)
    except BacalhauError:
        steps.finish(FAILED)
        raise
    steps.finish("done ✅")
    if not quiet:
        say(words.done.format(job=job.id, evaluation=evaluation))
    return 0


class _Quiet(Steps):
    """Steps that print nothing, for `--quiet`."""

    def begin(self, text: str) -> None:
        """Print nothing."""

    def finish(self, mark: str) -> None:
        """Print nothing."""
