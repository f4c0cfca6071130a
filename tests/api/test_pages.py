"""Lists that are answered in pages, and long answers that are sent in pieces."""

import asyncio
import itertools
import json

import msgspec
import pytest

from bacalhau.api.http.answer import SLICE
from bacalhau.api.v1.jobs import MOST_EVENTS
from bacalhau.cli.frame.program import run
from bacalhau.models.execution.execution import ComputeState, ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.wire.paging import PagingToken
from bacalhau.orchestrator.jobs.read import PAGE, list_executions
from tests.api.room import JOBS, open_room
from tests.unit.store import samples

ORDERS = ["", "created_at", "create_time", "modified_at", "modify_time", "id", "state"]


async def test_pages_of_a_list(tmp_path):
    async with open_room(tmp_path) as room:
        ids = sorted([await room.submit() for _ in range(5)])
        seen, token = [], ""
        while True:
            page = (await room.http.get(JOBS, params={"limit": 2, "order_by": "id", "next_token": token})).json()
            seen += [job["ID"] for job in page["Items"]]
            token = page["NextToken"]
            if not token:
                break
        assert seen == ids


async def test_pages_of_executions(tmp_path):
    async with open_room(tmp_path) as room:
        job = samples.a_job(1)
        ends = [ComputeStateType.COMPLETED, ComputeStateType.FAILED]
        executions = [
            samples.an_execution(
                job, n, create_time=n % 3, modify_time=n % 4, compute_state=ComputeState(state_type=ends[n % 2])
            )
            for n in range(9)
        ]
        await room.orch.store.apply(Change(new_jobs=(job,), new_executions=tuple(executions)))
        for order_by, reverse in itertools.product(ORDERS, ["false", "true"]):
            query = {"order_by": order_by, "reverse": reverse}
            whole = (await room.http.get(f"{JOBS}/{job.id}/executions", params=query)).json()
            assert whole["NextToken"] == "" and len(whole["Items"]) == 9
            pages, token = [], ""
            while token or not pages:
                asked = {"next_token": token} if token else query | {"limit": 2}
                page = (await room.http.get(f"{JOBS}/{job.id}/executions", params=asked)).json()
                pages.append(page["Items"])
                token = page["NextToken"]
            assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
            assert [item for page in pages for item in page] == whole["Items"]


async def test_pages_of_labelled_jobs_are_not_moved_by_jobs_that_come(tmp_path):
    async with open_room(tmp_path) as room:
        wanted = [await room.submit(Labels={"a": "b"}) for _ in range(5)]
        seen, token = [], ""
        for reverse in ("true", ""):
            while token or not seen:
                query = {"next_token": token} if token else {"limit": 2, "reverse": reverse}
                query |= {"labels": "a=b"}
                page = (await room.http.get(JOBS, params=query)).json()
                seen += [job["ID"] for job in page["Items"]]
                token = page["NextToken"]
                await room.submit(Labels={"a": "c"})
                if reverse:
                    await room.submit(Labels={"a": "b"})
            assert seen[:5] == (wanted[::-1] if reverse else wanted)
            seen = []


async def test_a_place_that_is_none_of_its_order_is_refused(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        for path in (JOBS, f"{JOBS}/{job_id}/executions"):
            for key in ("x", "-1", "9" * 30, ""):
                token = PagingToken("created_at", limit=1, key=key, id="j-1").encoded()
                answer = await room.http.get(path, params={"next_token": token})
                assert answer.status_code == 400 and "is no number" in answer.text


async def test_a_long_answer_comes_in_pieces_that_are_the_whole(tmp_path):
    async with open_room(tmp_path) as room:
        job = samples.a_job(1, labels={"text": '<&> "Items":[]'})
        executions = tuple(samples.an_execution(job, n) for n in range(2 * SLICE + 1))
        events = tuple(samples.entry(job, "one <more>", e.id) for e in executions)
        await room.orch.store.apply(Change(new_jobs=(job,), new_executions=executions, history=events))
        short = (await room.http.get(f"{JOBS}/{job.id}/executions", params={"limit": SLICE})).json()["Items"]
        for path in (f"{JOBS}/{job.id}?include=history,executions", f"{JOBS}/{job.id}/history?limit=500"):
            answer = await room.http.get(path)
            assert answer.headers["transfer-encoding"] == "chunked"
            plain = await room.http.get(path + "&pretty")
            assert plain.text == msgspec.json.format(answer.content, indent=2).decode() + "\n"
        executions_path = f"{JOBS}/{job.id}/executions"
        answer = await room.http.get(executions_path)
        pretty = await room.http.get(executions_path + "?pretty")
        assert answer.json() == pretty.json()
        assert pretty.text == msgspec.json.format(answer.content, indent=2).decode() + "\n"
        assert answer.json()["Items"][:SLICE] == short and len(answer.json()["Items"]) == 2 * SLICE + 1
        assert "\\u003c\\u0026\\u003e" in answer.text and answer.text.endswith("}\n")


async def fill(room, count):
    """Store so many jobs, every third with a label, and a job with as many executions; its id."""
    jobs = [samples.a_job(n, labels={"third": str(n % 3)}, create_time=n % 7) for n in range(count)]
    done = ComputeState(state_type=ComputeStateType.COMPLETED)
    executions = [samples.an_execution(jobs[0], n, create_time=n % 5, compute_state=done) for n in range(count)]
    await room.orch.store.apply(Change(new_jobs=tuple(jobs), new_executions=tuple(executions)))
    return jobs[0].id


@pytest.mark.parametrize("order_by", ["", "modified_at", "id"])
async def test_an_answer_of_any_length_is_that_of_its_pages(tmp_path, order_by):
    count = 2 * PAGE + SLICE + 3
    async with open_room(tmp_path) as room:
        job_id = await fill(room, count)
        for path, query in (
            (JOBS, {}),
            (JOBS, {"labels": "third=1"}),
            (f"{JOBS}/{job_id}/executions", {"reverse": "true"}),
        ):
            asked = query | {"order_by": order_by}
            pages, token = [], ""
            while token or not pages:
                more = {"next_token": token} | ({"labels": query["labels"]} if "labels" in query else {})
                answer = (await room.http.get(path, params=more if token else asked | {"limit": 50})).json()
                pages += answer["Items"]
                token = answer["NextToken"]
            assert len(pages) == (len(range(1, count, 3)) if "labels" in query else count)
            for limit in (0, PAGE, PAGE + 1, len(pages) - 1, len(pages), 10**6):
                answer = await room.http.get(path, params=asked | {"limit": limit})
                shown = pages[: limit or None]
                assert answer.json()["Items"] == shown
                assert bool(answer.json()["NextToken"]) is (len(shown) < len(pages))
                if token := answer.json()["NextToken"]:
                    more = {"next_token": token, "labels": query.get("labels", "")}
                    assert (await room.http.get(path, params=more)).json()["Items"] == pages[limit : 2 * limit]
        whole = (await room.http.get(f"{JOBS}/{job_id}", params={"include": "executions"})).json()
        assert len(whole["Executions"]["Items"]) == count and whole["Job"]["ID"] == job_id


async def test_of_a_long_list_few_items_are_in_memory_and_what_is_gone_is_left_out(tmp_path):
    count = 3 * PAGE + 1
    async with open_room(tmp_path) as room:
        job_id = await fill(room, count)
        found = await list_executions(room.orch, job_id)
        gone = [e.id for e in (await room.orch.store.list_executions(job_id, 0))[PAGE + 5 : 2 * PAGE + 10]]
        await room.orch.store.forget_executions(job_id, gone)
        pieces = [found.items, *[piece async for piece in found.rest]]
        assert max(map(len, pieces)) <= PAGE
        ids = [e.id for piece in pieces for e in piece]
        assert ids == [e.id for e in await room.orch.store.list_executions(job_id, 0)] and not {*ids} & {*gone}


async def test_a_list_whose_first_items_do_not_match_is_whole(tmp_path):
    async with open_room(tmp_path) as room:
        jobs = [samples.a_job(n, labels={"late": str(n >= 2 * PAGE)}, create_time=n) for n in range(2 * PAGE + 3)]
        await room.orch.store.apply(Change(new_jobs=tuple(jobs)))
        for label, count in (("True", 3), ("False", 2 * PAGE), ("none", 0)):
            answer = await room.http.get(JOBS, params={"labels": f"late={label}"})
            assert len(answer.json()["Items"]) == count
            pretty = await room.http.get(JOBS, params={"labels": f"late={label}", "pretty": "true"})
            assert pretty.json() == answer.json()


async def test_a_history_comes_a_thousand_events_at_a_time_and_the_command_line_asks_for_as_many_as_it_shall_show(
    tmp_path, monkeypatch, capsys
):
    count = MOST_EVENTS + 205
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    async with open_room(tmp_path) as room:
        monkeypatch.setenv("BACALHAU_API_HOST", room.url)
        job = samples.a_job(1)
        entries = tuple(samples.entry(job, f"event {n}", "") for n in range(count))
        await room.orch.store.apply(Change(new_jobs=(job,), history=entries))
        first = (await room.http.get(f"{JOBS}/{job.id}/history", params={"limit": 10**6})).json()
        query = {"limit": 10**6, "next_token": first["NextToken"]}
        second = (await room.http.get(f"{JOBS}/{job.id}/history", params=query)).json()
        assert [len(page["Items"]) for page in (first, second)] == [MOST_EVENTS, 205]
        for limit, shown in ((MOST_EVENTS + 7, MOST_EVENTS + 7), (0, count), (5, 5), (count + 1, count)):
            args = ["job", "history", job.id, "--limit", str(limit), "--output", "json"]
            assert await asyncio.to_thread(run, args) == 0
            assert [item["SeqNum"] for item in json.loads(capsys.readouterr().out)] == list(range(1, shown + 1))
