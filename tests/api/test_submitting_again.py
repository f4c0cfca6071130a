"""A submission that comes twice: because its answer was lost, or because two came at the same time."""

import asyncio

from bacalhau.client.client import AsyncClient
from bacalhau.lib.errors import Conflict
from bacalhau.models.wire.api import PutJobRequest
from tests.api.room import JOBS, a_job, open_room
from tests.support.scripted_api import answer, scripted_api


def body(token="t", **job):
    return {"Job": a_job(**job), "IdempotencyToken": token}


async def put(room, query="", **sent):
    return await room.http.put(JOBS + query, json=sent or body())


async def count(room):
    return len((await room.http.get(JOBS)).json()["Items"])


async def test_the_same_token_answers_the_same_job_also_in_another_process(tmp_path):
    async with open_room(tmp_path) as room:
        first = (await put(room)).json()
        assert (await put(room)).json() == first
    async with open_room(tmp_path) as room:
        assert (await put(room)).json() == first
        assert (await put(room, **body("other"))).json()["JobID"] != first["JobID"]
        assert await count(room) == 2


async def test_many_at_the_same_time_make_one_job(tmp_path):
    async with open_room(tmp_path) as room:
        answers = await asyncio.gather(*(put(room) for _ in range(20)))
        assert {a.status_code for a in answers} == {200}
        assert len({a.json()["JobID"] for a in answers}) == 1
        assert await count(room) == 1


async def test_a_named_job_gets_one_new_version_of_one_submission(tmp_path):
    async with open_room(tmp_path) as room:
        await put(room, **body("first", Name="n"))
        sent = body("second", Name="n", Priority=1)
        answers = await asyncio.gather(*(put(room, **sent) for _ in range(5)))
        assert len({a.text for a in answers}) == 1
        assert (await room.http.get(f"{JOBS}/n")).json()["Job"]["Version"] == 2


async def test_another_request_with_the_same_token_is_a_conflict(tmp_path):
    async with open_room(tmp_path) as room:
        made = (await put(room)).json()["JobID"]
        for sent in (body(Priority=3), body() | {"Force": True}):
            refused = await put(room, **sent)
            assert refused.status_code == 409
            assert f"'t' was used in namespace default for another request, which made job {made}" in refused.text
            assert "new token" in refused.json()["Hint"]
        assert (await put(room, **body(Namespace="team", Priority=3))).status_code == 200
        assert await count(room) == 2


async def test_a_token_may_stand_in_the_query_and_is_bounded(tmp_path):
    async with open_room(tmp_path) as room:
        first = await put(room, "?idempotency_token=q", Job=a_job())
        again = await put(room, "?idempotency_token=q", Job=a_job())
        assert first.json() == again.json()
        for token in ("x" * 201, "a\n"):
            refused = await put(room, **body(token))
            assert refused.status_code == 400 and "idempotency token has" in refused.text


async def test_a_job_that_is_forgotten_takes_its_token_along(tmp_path):
    async with open_room(tmp_path) as room, AsyncClient(room.url) as client:
        first = await client.submit(a_job(), idempotency_token="t")
        await client.stop(first)
        assert await client.submit(a_job(), idempotency_token="t") == first
        await client.delete(first)
        assert await client.submit(a_job(), idempotency_token="t") != first


async def test_a_client_sends_again_what_was_lost_with_the_same_token():
    tokens = []

    async def handle(request):
        if request.method == "PUT":
            tokens.append((await request.json())["IdempotencyToken"])
            if len(tokens) == 1:
                request.transport.abort()
            return answer({"JobID": "j-1"}, 503 if len(tokens) == 2 else 200)
        tokens.append("read")
        return answer({"Status": "OK"}, 200 if len(tokens) > 5 else 502)

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        assert await client.submit(a_job()) == "j-1"
        assert len(tokens) == 3 and len(set(tokens)) == 1 and tokens[0]
        assert (await client.alive()).status == "OK"


async def test_a_refusal_is_final():
    asked = []

    async def handle(request):
        asked.append(PutJobRequest)
        return answer({"Message": "no"}, 409)

    async with scripted_api(handle) as url, AsyncClient(url) as client:
        try:
            await client.submit(a_job())
        except Conflict:
            assert len(asked) == 1
        else:
            raise AssertionError
