"""`--dry-run`: the job as a file that can be submitted, or how it differs from what the server has under its name."""

import asyncio
import sys
from typing import Any

import click
import msgspec

from bacalhau.cli.connection import connect
from bacalhau.cli.options import Call
from bacalhau.cli.render import yaml_text
from bacalhau.cli.report import GREEN, RED, painted, say_error, say_warning
from bacalhau.lib.errors import BacalhauError, BadRequest, Forbidden, NotFound, Unauthorized
from bacalhau.models.api import DiffJobResponse
from bacalhau.models.job import Job

_OWNED = ("ID", "State", "Version", "Revision", "CreateTime", "ModifyTime")


def say_job(job: Job) -> int:
    """Without what only the server sets, so that `job run` takes the text."""
    click.echo(yaml_text(job_document(job)), nl=False)
    return 0


def job_document(job: Job) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(job)
    return {key: value for key, value in tree.items() if key not in _OWNED}


def say_difference(call: Call, job: Job) -> int:
    """What an update would change. A job nobody knows, and a server that cannot tell, leave the job itself to be shown."""
    if not job.name:
        return say_job(job)
    try:
        found = asyncio.run(_ask(call, job))
    except NotFound as e:
        click.echo(f"{e.message}: it would be a new job", err=True)
        return say_job(job)
    except BadRequest as e:
        raise BadRequest(f"the job provided is invalid: {e.message}", hint=e.hint) from e
    except (Unauthorized, Forbidden):
        raise
    except BacalhauError as e:
        say_error(f"failed to fetch Job spec: {e.message}", e.hint)
        say_warning("falling back to offline mode...")
        return say_job(job)
    for warning in found.warnings or ():
        say_warning(warning)
    if found.diff:
        click.echo("\n".join(_coloured(line) for line in found.diff.splitlines()))
    else:
        say_warning("No diff detected.")
    return 0


async def _ask(call: Call, job: Job) -> DiffJobResponse:
    async with connect(call.settings) as client:
        return await client.diff(job)


def _coloured(line: str) -> str:
    colour = {"+": GREEN, "-": RED}.get(line[:1])
    return painted(line, colour, sys.stdout) if colour else line
