"""Lists that are answered in pages, and long answers that are sent in pieces."""

import itertools

import msgspec

from bacalhau.api.http.answer import SLICE
from bacalhau.models.execution.execution import ComputeState, ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.wire.paging import PagingToken
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
