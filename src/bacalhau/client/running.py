"""The verbs that build jobs, run them, and run many of them with a bounded number at once."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, Unpack

from bacalhau.client.building import JobOptions, build_docker, build_wasm, fill, split_command
from bacalhau.client.handle import AsyncJob
from bacalhau.client.outputs import OutputVerbs
from bacalhau.lib.errors import BadRequest, with_hint
from bacalhau.models.job.job import Job

T = TypeVar("T")
AnyJob = Job | dict[str, Any] | str


class RunVerbs(OutputVerbs):
    """Verbs that build and run jobs."""

    def docker(self, image: str, command: str | Sequence[str] = (), **options: Unpack[JobOptions]) -> Job:
        """Build a job that runs a container, without submitting it: `run` and `submit` do that. The text of a command
        is split into words as a shell does, and no shell runs it. `JobOptions` explains the options. Raises BadRequest.

        Examples:
            >>> job = client.docker("ubuntu", "echo 'hi there'", inputs=["s3://bucket/key"], cpu=2)
            >>> job.task.engine.params["Parameters"]
            ['echo', 'hi there']
        """
        return build_docker(image, command, options)

    def wasm(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        entry_point: str = "_start",
        **options: Unpack[JobOptions],
    ) -> Job:
        """Build a job that runs a WebAssembly module, a file of this machine or a URI as `inputs` have it. Servers of
        this project refuse such a job when it is submitted. Raises BadRequest.

        Examples:
            >>> client.wasm("s3://bucket/module.wasm", ["x"]).task.engine.type
            'wasm'
        """
        return build_wasm(module, arguments, entry_point, options)

    async def run(self, job: AnyJob, *, force: bool = False, idempotency_token: str = "") -> AsyncJob:
        """Submit a job as `submit` does, and return a handle of it.

        Examples:
            >>> job = client.run(sleeper, force=True)
            >>> job.wait(timeout=60).state
            'Completed'
        """
        return self.job(await self.submit(job, force=force, idempotency_token=idempotency_token))

    def job(self, job_id: str) -> AsyncJob:
        """Make a handle of a job that was submitted before; nothing is asked yet.

        Examples:
            >>> client.job(client.submit(sleeper, force=True)).wait(timeout=60).state
            'Completed'
        """
        return AsyncJob(self, job_id)

    async def submit_many(self, jobs: Iterable[AnyJob], *, at_once: int = 16) -> AsyncGenerator[AsyncJob, None]:
        """Submit jobs, `at_once` at the same time, and yield a handle of each as soon as it is submitted. `jobs` may be
        endless: no more are taken from it than are being submitted. Raises as `submit` does; what was submitted stays.

        Examples:
            >>> jobs = [sleeper | {"Name": f"sleeper-{n}"} for n in range(3)]
            >>> len([job async for job in client.submit_many(jobs)])
            3
        """
        async with aclosing(_bounded((self.run(job) for job in jobs), at_once)) as handles:
            async for handle in handles:
                yield handle

    async def map(
        self,
        image: str,
        command: str | Sequence[str],
        items: Iterable[object],
        *,
        at_once: int = 16,
        **options: Unpack[JobOptions],
    ) -> AsyncGenerator[AsyncJob, None]:
        """Run a container for each item and yield the handle of each job when it has ended, however it ended. In the
        command `{}` stands for the item, which stays one word whatever it holds. `at_once` jobs are in the system at
        the same time, and no more items are taken. Jobs that run go on when the iterator is closed.

        Examples:
            >>> list(client.map("ubuntu", "process {}", []))
            []
        """
        words = split_command(command)

        async def run(item: object) -> AsyncJob:
            return await (await self.run(build_docker(image, fill(words, item), options))).wait()

        async with aclosing(_bounded((run(item) for item in items), at_once)) as handles:
            async for handle in handles:
                yield handle


async def _bounded(works: Iterator[Coroutine[Any, Any, T]], at_once: int) -> AsyncGenerator[T, None]:
    """Do pieces of work, so many at the same time, and yield what they return as they end. The first error ends it."""
    if at_once < 1:
        error = BadRequest(f"at_once is {at_once}, but must be at least 1", hint="leave it out for 16")
        raise with_hint(error)
    under_way: set[asyncio.Task[T]] = set()
    try:
        while True:
            while len(under_way) < at_once and (work := next(works, None)) is not None:
                under_way.add(asyncio.create_task(work))
            if not under_way:
                return
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda each: each.exception() is not None):
                yield task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
