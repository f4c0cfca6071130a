"""`--dry-run`: the job as a file that can be submitted, or how it differs from what the server has under its name."""

import asyncio
import sys
from typing import Any, NamedTuple

import msgspec

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.report import GREEN, RED, painted, say_error, say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.explaining import explanation
from bacalhau.cli.output.render import yaml_text
from bacalhau.cli.spec.job_file import InvalidJob
from bacalhau.lib.errors import BacalhauError, BadRequest, Forbidden, NotFound, Unauthorized, Unavailable
from bacalhau.models.job.job import SERVERS_KEYS, Job
from bacalhau.models.wire.api import DiffJobResponse, ExplainJobResponse

NODES = 20  # that are listed


def say_job(job: Job) -> int:
    """Print a job as a file that `job run` takes, without the fields that only the server sets."""
    say(yaml_text(job_document(job)), nl=False)
    return 0


def job_document(job: Job) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(job)
    return {key: value for key, value in tree.items() if key not in SERVERS_KEYS}


class Forecast(NamedTuple):
    """`diff` is None for a job nobody knows; `explained` is None where the server cannot tell."""

    diff: DiffJobResponse | None
    explained: ExplainJobResponse | None


def say_difference(call: Call[Flags], job: Job) -> int:
    """Print what an update would change, or a new job as it is; on stderr, what would run where.

    Without a server the job itself is shown.
    """
    try:
        found = asyncio.run(_ask(call, job))
    except BadRequest as e:
        raise InvalidJob(e.problems, e.hint) from e
    except (Unauthorized, Forbidden):
        raise
    except BacalhauError as e:
        say_error(f"failed to fetch Job spec: {e.message}", e.hint)
        say_warning("falling back to offline mode...")
        return say_job(job)
    told = found.diff or found.explained
    for warning in (told and told.warnings) or ():
        say_warning(warning)
    if found.diff and not found.diff.diff:
        say_warning("No diff detected.")
        return 0
    if found.diff:
        say("\n".join(_coloured(line) for line in found.diff.diff.splitlines()))
    else:
        say(f"job not found: {job.name}: it would be a new job" if job.name else "it would be a new job", err=True)
        say_job(job)
    if found.explained:
        _say_explanation(found.explained)
    return 0


def _say_explanation(explained: ExplainJobResponse) -> None:
    sys.stdout.flush()
    say("\n".join(["", *explanation(explained, sys.stderr)]), err=True)
    if explained.next_token:
        say("\nTo see the other nodes use:\n\tbacalhau job explain FILE --limit 0", err=True)


async def _ask(call: Call[Flags], job: Job) -> Forecast:
    async with connect(call.settings) as client:
        try:
            diff = await client.diff(job) if job.name else None
        except NotFound:
            diff = None
        try:
            return Forecast(diff, await client.explain(job, limit=NODES))
        except (BadRequest, Unauthorized, Forbidden, Unavailable):
            raise
        except BacalhauError:
            return Forecast(diff, None)


def _coloured(line: str) -> str:
    colour = {"+": GREEN, "-": RED}.get(line[:1])
    return painted(line, colour, sys.stdout) if colour else line
