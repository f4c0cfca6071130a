"""`job list`, `executions`, `history` and `versions`: lists of one kind of thing each."""

import asyncio
from typing import Any

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.job.commands import History, ListExecutions, ListJobs, ListVersions
from bacalhau.cli.job.flags import Versions
from bacalhau.cli.output.flags import OrderedPage
from bacalhau.cli.output.render import id_column, say_more, show_items, stamp, time_column, when
from bacalhau.cli.output.table import Column
from bacalhau.cli.spec.labels import check_labels
from bacalhau.models.job.job import Job
from bacalhau.models.wire.api import ListExecutionsResponse

_JOBS = (
    time_column("created", lambda job: job.create_time),
    id_column("id", lambda job: job.id),
    Column("name", lambda job: job.name, 40),
    Column("job", lambda job: job.task.engine.type),
    Column("type", lambda job: job.type, 8),
    Column("state", lambda job: job.state.state_type.value, 20),
)
_EXECUTIONS = (
    time_column("Created", lambda e: e.create_time),
    time_column("Modified", lambda e: e.modify_time),
    id_column("ID", lambda e: e.id),
    Column("Job Version", lambda e: str(e.job_version)),
    id_column("Node ID", lambda e: e.node_id),
    Column("Rev.", lambda e: str(e.revision)),
    Column("State", lambda e: e.state.label),
    Column("Desired", lambda e: e.desired_state.state_type.name.capitalize()),
)
_HISTORY = (
    Column("Time", lambda h: stamp(h.time)),
    Column("Level", lambda h: h.type),
    Column("Job Version", lambda h: str(h.job_version)),
    id_column("Exec. ID", lambda h: h.execution_id),
    Column("Topic", lambda h: h.event.topic),
    Column("Event", lambda h: h.event.message, 90),
)
_VERSIONS = (
    Column("Created At", lambda job: when(job.modify_time)),
    Column("Job Version", lambda job: str(job.version)),
)


def list_jobs(call: Call[ListJobs]) -> int:
    check_labels(call.flags.labels)
    return asyncio.run(_list_jobs(call))


async def _list_jobs(call: Call[ListJobs]) -> int:
    async with connect(call.settings) as client:
        page = await client.list_jobs(labels=call.flags.labels, **_page(call.flags))
    show_items(call.flags, _JOBS, page.items)
    say_more(call, call.flags.output, page.next_token)
    return 0


def executions(call: Call[ListExecutions]) -> int:
    async def read() -> ListExecutionsResponse:
        async with connect(call.settings) as client:
            return await client.list_executions(call.args[0], **_page(call.flags), **_versions(call.flags))

    page = asyncio.run(read())
    show_items(call.flags, _EXECUTIONS, page.items)
    say_more(call, call.flags.output, page.next_token)
    return 0


def history(call: Call[History]) -> int:
    return asyncio.run(_history(call))


async def _history(call: Call[History]) -> int:
    """Print the history so far, up to the limit: as many pages as that takes."""
    flags = call.flags
    query = {
        "event_type": flags.event_type,
        "execution_id": flags.execution_id,
        "limit": flags.limit,
        "next_token": flags.next_token,
    }
    async with connect(call.settings) as client:
        page = await client.history(call.args[0], **query, **_versions(flags))
        items = list(page.items)
        while page.items and page.next_token and (not flags.limit or len(items) < flags.limit):
            left = {"limit": max(0, flags.limit - len(items)), "next_token": page.next_token}
            page = await client.history(call.args[0], **{**query, **left}, **_versions(flags))
            items += page.items
    show_items(flags, _HISTORY, items)
    if flags.limit and len(items) == flags.limit:
        say_more(call, call.flags.output, page.next_token)
    return 0


def versions(call: Call[ListVersions]) -> int:
    async def read() -> tuple[Job, ...]:
        async with connect(call.settings) as client:
            return await client.versions(call.args[0], namespace=call.flags.namespace)

    show_items(call.flags, _VERSIONS, asyncio.run(read()))
    return 0


def _page(flags: OrderedPage) -> dict[str, Any]:
    return {
        "limit": flags.limit,
        "next_token": flags.next_token,
        "order_by": flags.order_by,
        "reverse": flags.order_reversed,
    }


def _versions(flags: Versions) -> dict[str, Any]:
    return {
        "namespace": flags.namespace,
        "job_version": flags.version,
        "all_job_versions": flags.all_versions and not flags.version,
    }
