"""Handles of jobs: one job of one server, with the verbs that are about it."""

from collections.abc import AsyncGenerator, Coroutine, Iterator
from pathlib import Path
from typing import Any

from bacalhau.client.display import Rows, show_table
from bacalhau.client.outputs import OutputVerbs
from bacalhau.client.sync_outputs import SyncOutputVerbs
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job as JobSpec
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import ExplainJobResponse


class _Handle:
    """The part that both handles share. `spec` is the job as it was last seen, None when it never was."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.spec: JobSpec | None = None

    @property
    def state(self) -> str:
        """The state when the job was last seen, such as Completed; "" when it never was. `wait` and `refresh` see."""
        return self.spec.state.state_type.value if self.spec else ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}{' ' if self.state else ''}{self.state}>"

    def _repr_html_(self) -> str:
        return show_table((self.spec or JobSpec(id=self.id),))


class AsyncJob(_Handle):
    """A job of an `AsyncClient`."""

    def __init__(self, client: OutputVerbs, job_id: str) -> None:
        super().__init__(job_id)
        self._client = client

    async def refresh(self) -> "AsyncJob":
        """See the job as it is now, and return this handle. Raises NotFound."""
        self.spec = await self._client.get_job(self.id)
        return self

    def wait(self, timeout: float | None = None) -> Coroutine[Any, Any, "AsyncJob"]:
        """Wait until the job has ended, however it ended, or a service or daemon runs; return this handle, whose
        `state` says how. `timeout` in seconds; when it passes, TimedOut is raised and the job goes on.
        """
        return self._wait(timeout)

    async def _wait(self, seconds: float | None) -> "AsyncJob":
        self.spec = await self._client.wait(self.id, seconds)
        return self

    async def logs(self, follow: bool = False) -> AsyncGenerator[tuple[int, str], None]:
        """Yield what the job printed, as (1 stdout or 2 stderr, text); with `follow` until it ends."""
        async for piece in self._client.logs(self.id, follow):
            yield piece

    async def results(self) -> Rows[SpecConfig]:
        """List where the published results are."""
        return Rows(await self._client.results(self.id))

    async def get(self, path: str | Path, only: str = "") -> Path:
        """Download and verify the results into a folder, which is made; `only` is a path inside the results. Raises
        NotFound when there are none, Conflict when a file would be replaced.
        """
        return await self._client.get(self.id, path, only=only)

    async def stop(self, reason: str = "Stopped at user request") -> None:
        """Stop the job. Raises Conflict when it has ended otherwise."""
        await self._client.stop(self.id, reason)

    async def explain(self) -> ExplainJobResponse:
        """Explain where the job could run, and why not elsewhere."""
        return await self._client.explain_stored(self.id)

    @property
    def executions(self) -> Coroutine[Any, Any, Rows[Execution]]:
        """List the executions of the latest version: `await job.executions`."""
        return self._executions()

    async def _executions(self) -> Rows[Execution]:
        return Rows(await self._client.executions(self.id))


class Job(_Handle):
    """A job of a `Client`.

    Examples:
        >>> job = client.run(sleeper, force=True).wait(timeout=60)
        >>> job.state
        'Completed'
        >>> [execution.state.label for execution in job.executions]
        ['Completed']
    """

    def __init__(self, client: SyncOutputVerbs, job_id: str) -> None:
        super().__init__(job_id)
        self._client = client

    def refresh(self) -> "Job":
        """See the job as it is now, and return this handle. Raises NotFound.

        Examples:
            >>> client.run(sleeper, force=True).refresh().spec.name
            'sleeper'
        """
        self.spec = self._client.get_job(self.id)
        return self

    def wait(self, timeout: float | None = None) -> "Job":
        """Wait until the job has ended, however it ended, or a service or daemon runs; return this handle, whose
        `state` says how. `timeout` in seconds; when it passes, TimedOut is raised and the job goes on.

        Examples:
            >>> client.run(sleeper, force=True).wait(timeout=60).state
            'Completed'
        """
        self.spec = self._client.wait(self.id, timeout)
        return self

    def logs(self, follow: bool = False) -> Iterator[tuple[int, str]]:
        """Yield what the job printed, as (1 stdout or 2 stderr, text); with `follow` until it ends.

        Examples:
            >>> list(client.run(sleeper, force=True).logs(follow=True))
            [(1, 'good morning')]
        """
        return self._client.logs(self.id, follow)

    def results(self) -> Rows[SpecConfig]:
        """List where the published results are.

        Examples:
            >>> [result.type for result in client.run(sleeper, force=True).wait(60).results()]
            ['ipfs']
        """
        return Rows(self._client.results(self.id))

    def get(self, path: str | Path, only: str = "") -> Path:
        """Download and verify the results into a folder, which is made; `only` is a path inside the results. Raises
        NotFound when there are none, Conflict when a file would be replaced.

        Examples:
            >>> (client.run(sleeper, force=True).wait(60).get(folder / "mine") / "stdout").read_text()
            'good morning'
        """
        return self._client.get(self.id, path, only=only)

    def stop(self, reason: str = "Stopped at user request") -> None:
        """Stop the job. Raises Conflict when it has ended otherwise.

        Examples:
            >>> job = client.run(endless)
            >>> job.stop("not needed")
            >>> job.refresh().state
            'Stopped'
        """
        self._client.stop(self.id, reason)

    def explain(self) -> ExplainJobResponse:
        """Explain where the job could run, and why not elsewhere.

        Examples:
            >>> client.run(endless).explain().nodes[0].node_id == node_id
            True
        """
        return self._client.explain_stored(self.id)

    @property
    def executions(self) -> Rows[Execution]:
        """List the executions of the latest version; each look asks the server.

        Examples:
            >>> [e.node_id == node_id for e in client.run(sleeper, force=True).wait(60).executions]
            [True]
        """
        return Rows(self._client.executions(self.id))
