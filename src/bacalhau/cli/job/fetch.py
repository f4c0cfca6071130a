"""`get`, `job get` and `--download`: results on the user's disk, with a progress bar on a terminal."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import JobGet
from bacalhau.cli.job.flags import Fetching
from bacalhau.cli.output.live_step import live_step
from bacalhau.client.client import AsyncClient
from bacalhau.client.outputs import bring_results
from bacalhau.client.results import Fetch, writing
from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.lib.ids import short_id
from bacalhau.models.job.job import Job

_SECONDS = 300.0  # for one result, where neither flag nor configuration says otherwise


class Destination(NamedTuple):
    """The directory that results go to. `shown` is its name as it is printed."""

    directory: Path
    shown: str
    is_ours: bool
    raw: bool
    only: str
    seconds: float

    @classmethod
    def of_flags(cls, flags: Fetching, name: str, only: str = "") -> "Destination":
        """`--output-dir` as given, else ./job-NAME, which is made."""
        given = flags.output_dir
        directory = Path(given) if given else Path.cwd() / f"job-{name}"
        return cls(directory, given or str(directory), not given, flags.raw, only, flags.download_timeout_secs or 0)


def get(call: Call[Fetching]) -> int:
    """The older `get`: no results are an error, and failures say what failed."""
    job, _, only = call.args[0].partition("/")
    _say_fetching(call.args[0])
    try:
        return asyncio.run(_get(call, job, Destination.of_flags(call.flags, short_id(job), only)))
    except BacalhauError as e:
        raise type(e)(f"error downloading job: {e.message}", hint=e.hint) from e


def job_get(call: Call[JobGet]) -> int:
    """Today's `job get`: no results are no error."""
    job, _, only = call.args[0].partition("/")
    namespace = call.flags.namespace
    _say_fetching(call.args[0])
    name = f"{namespace}-{job}" if namespace not in ("", "default") else job
    return asyncio.run(_job_get(call, job, Destination.of_flags(call.flags, name, only)))


def _say_fetching(name: str) -> None:
    say(f"Fetching results of job '{name}'...", err=True)


async def _get(call: Call[Fetching], job: str, place: Destination) -> int:
    async with connect(call.settings) as client:
        await fetch(client, job, place)
    return 0


async def _job_get(call: Call[JobGet], job: str, place: Destination) -> int:
    async with connect(call.settings) as client:
        found = await client.get_job(job, namespace=call.flags.namespace)
        if not await client.results(found.id):
            say(
                "No results found\nYou can check the logged output of the job using the logs command.\n\n  bacalhau"
                f" job logs {job}\n"
            )
            return 0
        await fetch(client, found.id, place)
    return 0


async def fetch(client: AsyncClient, job_id: str, place: Destination, *, shout: bool = True) -> None:
    """Download the results of a job. Raises NotFound when it has none."""
    job = await client.get_job(job_id)
    results = await client.list_results(job.id)
    if not results.items:
        raise NotFound(
            "no results found",
            hint=f"the job is {job.state.state_type.value}; `bacalhau logs {job_id}` shows what it printed",
        )
    if place.is_ours:
        with writing(place.directory.parent):
            place.directory.mkdir(mode=0o755, exist_ok=True)
    wanted = Fetch(
        job.id,
        place.directory,
        client.endpoint,
        raw=place.raw,
        only=place.only,
        seconds=place.seconds or client.endpoint.downloads.timeout or _SECONDS,
    )
    with live_step() as report:
        await bring_results(client, job.id, results, wanted, report)
    await _tell_reused(client, job)
    if shout:
        say(f"Results for job '{job_id}' have been written to...\n{place.shown}")


async def _tell_reused(client: AsyncClient, job: Job) -> None:
    """Say which results are of earlier executions."""
    if job.reuse is None or not job.reuse.enabled:
        return
    executions = await client.executions(job.id)
    used = [e.reused for e in executions if e.reused]
    if used:
        of = ", ".join(dict.fromkeys(short_id(each.job_id) for each in used))
        say(f"{len(used)} of {job.wanted} results were used again, not computed: they are of job {of}", err=True)
