"""`list`, `describe` and `id`, in the shapes of the older generation."""

import asyncio
from functools import partial

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect, own_id
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.flags import Table
from bacalhau.cli.output.render import clock_time, json_text, show_document, show_items, when, yaml_text
from bacalhau.cli.output.table import Column
from bacalhau.cli.seed.commands import Describe, ListJobs, Which
from bacalhau.client.client import AsyncClient
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import CLIENT_META, Job
from bacalhau.models.seed.view import seed_job, seed_list_row

_AT_ONCE = 8  # requests for executions in flight
_PAGE = 100
_JOB_TEXT = 400  # characters of an engine shown at most

_COLUMNS = (
    Column("created", lambda row: when(row.created), 8, brief=clock_time),
    Column("id", lambda row: row.id, 10, brief=short_id),
    Column("job", lambda row: row.job[:_JOB_TEXT], 40, hard=True),
    Column("state", lambda row: row.state, 20),
    Column("published", lambda row: row.published),
)


def list_jobs(call: Call[ListJobs]) -> int:
    return asyncio.run(_list_jobs(call))


async def _list_jobs(call: Call[ListJobs]) -> int:
    async with connect(call.settings) as client:
        jobs = [await client.get_job(call.flags.id_filter)] if call.flags.id_filter else await _find(client, call.flags)
        executions = await gather_bounded(_AT_ONCE, [partial(client.executions, job.id) for job in jobs])
    pairs = list(zip(jobs, executions, strict=True))
    show_items(call.flags, _COLUMNS, [seed_list_row(*pair) for pair in pairs], raw=[seed_job(*pair) for pair in pairs])
    return 0


async def _find(client: AsyncClient, flags: Which) -> list[Job]:
    found: list[Job] = []
    query = {"order_by": flags.sort_by, "reverse": flags.reverse, "limit": _PAGE, "namespace": "*"}
    wanted = flags.number
    own = own_id(client)
    while True:
        page = await client.list_jobs(**query)
        found += [job for job in page.items if _is_wanted(job, flags, own)]
        if not page.next_token or (wanted and len(found) >= wanted):
            return found[: wanted or None]
        query["next_token"] = page.next_token


def _is_wanted(job: Job, flags: Which, own: str) -> bool:
    """Tell whether a job is listed: its tags fit, and it is this client's or nobody's, unless all are listed."""
    tags = set(job.labels or {})
    if tags & set(flags.exclude_tag) or (flags.include_tag and not tags & set(flags.include_tag)):
        return False
    return flags.all or (job.meta or {}).get(CLIENT_META, "") in ("", own)


def describe(call: Call[Describe]) -> int:
    return asyncio.run(_describe(call))


async def _describe(call: Call[Describe]) -> int:
    async with connect(call.settings) as client:
        answer = await client.describe(call.args[0])
    executions: tuple[Execution, ...] = answer.executions.items if answer.executions else ()
    history = answer.history.items if answer.history else ()
    tree = seed_job(answer.job, executions, history if call.flags.include_events else None)
    say(json_text(tree) if call.flags.json else yaml_text(tree), nl=call.flags.json)
    return 0


def show_id(call: Call[Table]) -> int:
    """Print the client's id under both names, because this client has no node of its own."""

    async def read() -> str:
        async with connect(call.settings) as client:
            return own_id(client)

    found = asyncio.run(read())
    pair = {"ID": found, "ClientID": found}
    if call.flags.output in (None, "json", "yaml"):
        show_document(call.flags, pair, "json")
    else:
        show_items(
            call.flags, [Column("id", lambda row: row["ID"]), Column("client id", lambda row: row["ClientID"])], [pair]
        )
    return 0
