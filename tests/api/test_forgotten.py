"""Jobs that retention forgets while a request about them is answered."""

import pytest

from bacalhau.orchestrator.jobs.submit import stop_job
from tests.api.room import JOBS, open_room

SEED = "/api/v1/requester"
REQUESTS = [
    ("GET", JOBS + "/{}?include=history,executions", None),
    ("GET", JOBS + "/{}?wait=1", None),
    ("GET", JOBS + "/{}/history", None),
    ("GET", JOBS + "/{}/history?wait=1&execution_id=e", None),
    ("GET", JOBS + "/{}/executions", None),
    ("GET", JOBS + "/{}/versions", None),
    ("GET", JOBS + "/{}/results", None),
    ("GET", JOBS + "/{}/explain", None),
    ("GET", JOBS + "/{}/events", None),
    ("GET", JOBS + "?limit=10", None),
    ("GET", JOBS + "?labels=a%3Db", None),
    ("DELETE", JOBS + "/{}", None),
    ("POST", JOBS + "/{}/delete", None),
    ("PUT", JOBS + "/{}/rerun", {}),
    ("POST", SEED + "/list", {"return_all": True}),
    ("POST", SEED + "/list", {"id": "{}"}),
    ("POST", SEED + "/states", {"client_id": "c", "job_id": "{}"}),
    ("POST", SEED + "/results", {"client_id": "c", "job_id": "{}"}),
    ("POST", SEED + "/events", {"client_id": "c", "job_id": "{}"}),
]


class Forgetful:
    """A store that forgets every finished job as soon as it has been read."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def find_job(self, *arguments):
        job = await self._store.find_job(*arguments)
        await self._store.forget_jobs([job.id])
        return job

    async def list_jobs(self, query):
        jobs = await self._store.list_jobs(query)
        await self._store.forget_jobs([job.id for job in jobs])
        return jobs


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_a_job_that_is_forgotten_between_two_reads_is_there_or_not_found(tmp_path, method, path, body):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await stop_job(room.orch, job_id, "", "")
        room.orch.store = Forgetful(room.orch.store)
        filled = body and {key: value.format(job_id) if value == "{}" else value for key, value in body.items()}
        answer = await room.http.request(method, path.format(job_id), json=filled)
        assert answer.status_code in (200, 404), answer.text
