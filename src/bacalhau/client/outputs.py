"""The verbs of what jobs leave: their output, results, and the proofs of what they read and wrote."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import Any

from bacalhau.client.jobs import JobVerbs
from bacalhau.client.log_piece import LogPiece
from bacalhau.client.paths import job_path
from bacalhau.client.results import Fetch, fetch_results, writing
from bacalhau.lib.errors import NotFound, with_hint
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import (
    ListProvenanceResponse,
    ListResultsResponse,
)
from bacalhau.models.wire.messages import Progress
from bacalhau.ports.progress import Report, ignore

OnEvent = Callable[[JobHistory | Progress], None]
"""Called for every event of a job, and for each step of an execution, as they become known."""


class OutputVerbs(JobVerbs):
    """Verbs of output and results."""

    async def logs(self, job_id: str, follow: bool = False, **query: Any) -> AsyncGenerator[tuple[int, str], None]:
        """(1 stdout or 2 stderr, text) of the latest execution; see `log_pieces`."""
        async with aclosing(self.log_pieces(job_id, follow, **query)) as pieces:
            async for piece in pieces:
                yield piece.stream, piece.text

    async def log_pieces(self, job_id: str, follow: bool = False, **query: Any) -> AsyncGenerator[LogPiece, None]:
        """Yield what was printed so far, and with `follow` until the job ends, over restarts of the server.

        Also `execution_id`, `namespace`, `tail` (only what comes from now on), `tail_lines` (of what was printed so far
        only that many of the last lines; 0 is none), `wide` (the current execution of each partition, or node, side by
        side), `all` (every execution).
        """
        await self.get_job(job_id, namespace=query.get("namespace", ""))
        # Only who reads logs waits for the socket library to load.
        reader = import_module("bacalhau.client.logs").LogReader(self.endpoint, job_id, {**query, "follow": follow})
        async with aclosing(reader.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    async def results(self, job_id: str, *, namespace: str = "") -> tuple[SpecConfig, ...]:
        """List where the published results of the completed executions are."""
        return (await self.list_results(job_id, namespace=namespace)).items

    async def list_results(self, job_id: str, *, namespace: str = "") -> ListResultsResponse:
        """List published results, and the executions whose proofs tell what is in them."""
        return await self.transport.ask(ListResultsResponse, job_path(job_id, "results"), {"namespace": namespace})

    async def provenance(self, job_id: str, **query: Any) -> ListProvenanceResponse:
        """Tell what the executions of a job read and wrote. `execution_id`, `job_version`, `namespace`, and `page` for
        one page of what one execution wrote.
        """
        return await self.transport.ask(ListProvenanceResponse, job_path(job_id, "provenance"), query)

    async def statements(self, job_id: str, **query: Any) -> AsyncGenerator[bytes, None]:
        """Yield the provenance of a job as in-toto statements in JSON Lines, one an execution, piece by piece: a
        line may have many pieces. `execution_id`, `job_version`, `namespace`.
        """
        await self.get_job(job_id, namespace=query.get("namespace", ""))
        path = job_path(job_id, "provenance")
        async with aclosing(self.transport.stream(path, {**query, "format": "intoto"})) as pieces:
            async for piece in pieces:
                yield piece

    async def get(
        self,
        job_id: str,
        output_dir: str | Path,
        raw: bool = False,
        only: str = "",
        *,
        report: Report = ignore,
        seconds: float = 0,
    ) -> Path:
        """Download and verify the results into `output_dir`, which is made where it is not there. Returns its path.

        Several results are merged, unless `raw`; `only` is a path inside the result. `seconds` limits each result, 0
        leaves it to the configuration. Raises NotFound when there are none, Conflict when a file would be replaced.
        """
        job = await self.get_job(job_id)
        found = await self.list_results(job_id)
        if not found.items:
            hint = f"job {job_id} is {job.state.state_type.value}; its output is shown by `bacalhau logs {job_id}`"
            raise with_hint(NotFound("no results found", hint=hint))
        into, limit = Path(output_dir), seconds or self.endpoint.downloads.timeout
        if not into.exists():
            with writing(into):
                into.mkdir(parents=True)
        fetch = Fetch(job.id, into, self.endpoint, raw=raw, only=only, seconds=limit)
        return await bring_results(self, job.id, found, fetch, report)


async def bring_results(
    client: "OutputVerbs", job_id: str, results: ListResultsResponse, fetch: Fetch, report: Report
) -> Path:
    """Download the results of a job, and compare them with what was written. Returns the directory they are in."""

    def ask(execution_id: str, page: int) -> Coroutine[Any, Any, ListProvenanceResponse]:
        return client.provenance(job_id, execution_id=execution_id, page=page)

    return await fetch_results(results.items, fetch._replace(executions=results.executions, ask=ask), report)
