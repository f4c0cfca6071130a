"""The verbs that build jobs, run them, and run many of them with a bounded number at once, without `await`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

from bacalhau.client.building import JobOptions
from bacalhau.client.handle import Job as JobHandle
from bacalhau.client.running import AnyJob, RunVerbs
from bacalhau.client.sync_outputs import SyncOutputVerbs
from bacalhau.models.job.job import Job


class SyncRunVerbs(SyncOutputVerbs):
    """Verbs that build and run jobs."""

    _client: RunVerbs

    def docker(self, image: str, command: str | Sequence[str] = (), **options: Unpack[JobOptions]) -> Job:
        return self._client.docker(image, command, **options)

    def wasm(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        entry_point: str = "_start",
        **options: Unpack[JobOptions],
    ) -> Job:
        return self._client.wasm(module, arguments, entry_point=entry_point, **options)

    def run(self, job: AnyJob, *, force: bool = False, idempotency_token: str = "") -> JobHandle:
        return self.job(self.submit(job, force=force, idempotency_token=idempotency_token))

    def job(self, job_id: str) -> JobHandle:
        return JobHandle(self, job_id)

    def submit_many(self, jobs: Iterable[AnyJob], *, at_once: int = 16) -> Iterator[JobHandle]:
        for found in self._each(self._client.submit_many(jobs, at_once=at_once)):
            yield self.job(found.id)

    def map(
        self,
        image: str,
        command: str | Sequence[str],
        items: Iterable[object],
        *,
        at_once: int = 16,
        **options: Unpack[JobOptions],
    ) -> Iterator[JobHandle]:
        for found in self._each(self._client.map(image, command, items, at_once=at_once, **options)):
            handle = self.job(found.id)
            handle.spec = found.spec
            yield handle


def _tell(name: str) -> None:
    """Give a verb the words of the asynchronous one, without `await`."""
    told = getattr(RunVerbs, name).__doc__
    getattr(SyncRunVerbs, name).__doc__ = told.replace("async for", "for").replace("await ", "")


for _name in ("docker", "wasm", "run", "job", "submit_many", "map"):
    _tell(_name)
