"""Looking ahead and back over HTTP: differences, reruns, explanations, the queue, and what has no results."""

import asyncio

import pytest
from msgspec.structs import replace

from bacalhau.lib.aio import background
from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.paging import PagingToken
from bacalhau.orchestrator.evaluation.evaluator import evaluate_forever
from bacalhau.orchestrator.scheduling.quotas import Quota, Quotas
from tests.api.room import JOBS, a_job, open_room
from tests.unit.orchestrator.make import make_candidate


async def put(room, **job):
    return await room.http.put(JOBS, json={"Job": a_job(**job)})


async def until_moved(room, job_id):
    """Its state when the evaluator has looked at it."""
    token, state = "", "Pending"
    while state == "Pending":
        answer = await room.http.get(f"{JOBS}/{job_id}/history", params={"wait": 5, "next_token": token})
        token = answer.json()["NextToken"]
        state = (await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]["State"]["StateType"]
    return state


async def end(room, job_id, state=JobStateType.COMPLETED):
    job = await room.orch.store.find_job(job_id)
    running = job.moved(JobStateType.RUNNING, now_ns())
    await room.orch.commit(Change(jobs=(running,)))
    await room.orch.commit(Change(jobs=(running.moved(state, now_ns()),)))


def join(room, node_id="n-1", **how):
    room.orch.cluster.put(make_candidate(node_id, **how).node, now_ns())


async def test_a_difference_shows_what_changes_and_nothing_when_nothing_does(tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit(Name="hello")
        same = await room.http.put(f"{JOBS}/diff", json={"Job": a_job(Name="hello")})
        assert (same.status_code, same.json()) == (200, {"Diff": "", "Warnings": None})
        other = (await room.http.put(f"{JOBS}/diff", json={"Job": a_job(Name="hello", Priority=5, Nope=1)})).json()
        assert "-Priority: 0" in other["Diff"] and "+Priority: 5" in other["Diff"]
        assert other["Warnings"] == ["unknown field 'Job.Nope' is ignored"]
        assert (await room.http.get(f"{JOBS}/hello")).json()["Job"]["Version"] == 1


@pytest.mark.parametrize(
    ("job", "status", "text"),
    [
        (a_job(Name="nobody"), 404, "job not found: nobody"),
        (a_job(), 400, "invalid job spec: name is missing"),
        (a_job(Name="x", Type="no"), 400, "invalid job type"),
        (None, 400, "empty/nil job"),
    ],
)
async def test_what_cannot_be_compared(tmp_path, job, status, text):
    async with open_room(tmp_path) as room:
        answer = await room.http.put(f"{JOBS}/diff", json={"Job": job} if job else {})
        assert answer.status_code == status and text in answer.json()["Message"]


async def test_a_version_runs_again_as_a_new_one_with_a_fresh_clock(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="hello", Priority=1)
        await end(room, job_id)
        await put(room, Name="hello", Priority=2)
        await end(room, job_id, JobStateType.FAILED)
        before = now_ns()
        answer = (await room.http.put(f"{JOBS}/hello/rerun", json={"JobVersion": 1})).json()
        assert (answer["JobID"], answer["JobVersion"], bool(answer["EvaluationID"])) == (job_id, 3, True)
        job = (await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]
        assert (job["Priority"], job["State"]) == (1, {"StateType": "Pending", "Message": "job rerun"})
        assert job["CreateTime"] < before <= job["SubmitTime"]
        assert [j["Priority"] for j in (await room.http.get(f"{JOBS}/{job_id}/versions")).json()["Items"]] == [1, 2, 1]


async def test_who_is_overtaken_goes_on_from_there(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit(Name="hello")
        answers = await asyncio.gather(
            *(room.http.put(JOBS, json={"Job": a_job(Name="hello", Priority=n)}) for n in range(1, 11))
        )
        assert [answer.status_code for answer in answers] == [200] * 10
        assert [j["Version"] for j in (await room.http.get(f"{JOBS}/hello/versions")).json()["Items"]] == list(
            range(1, 12)
        )
        await room.orch.commit(
            Change(jobs=((await room.orch.store.find_job(job_id)).moved(JobStateType.RUNNING, now_ns()),))
        )
        commit, overtaken = room.orch.commit, []

        async def commit_after_another(change):
            if not overtaken:
                overtaken.append((await room.orch.store.find_job(job_id)).moved(JobStateType.COMPLETED, now_ns()))
                await commit(Change(jobs=tuple(overtaken)))
            await commit(change)

        room.orch.commit = commit_after_another
        rerun = await room.http.put(f"{JOBS}/{job_id}/rerun", json={})
        assert overtaken and rerun.json()["JobVersion"] == 12


async def test_the_callers_mistakes_with_rerun(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        waiting = await room.http.put(f"{JOBS}/{job_id}/rerun", json={})
        assert (waiting.status_code, waiting.json()["Message"]) == (409, "cannot rerun job in state Pending")
        await end(room, job_id)
        assert (await room.http.put(f"{JOBS}/nobody/rerun", json={})).status_code == 404
        assert (await room.http.put(f"{JOBS}/{job_id}/rerun", json={"JobVersion": 7})).status_code == 404
        for version in (-1, 2**64):
            assert (await room.http.put(f"{JOBS}/{job_id}/rerun", json={"JobVersion": version})).status_code == 400
        assert (await room.http.put(f"{JOBS}/{job_id}/rerun", json={})).status_code == 200


async def test_a_job_of_another_type_is_another_job(tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit(Name="hello")
        answer = await put(room, Name="hello", Type="service")
        assert (answer.status_code, answer.json()["Message"]) == (
            409,
            "job hello is of type batch and cannot become one of type service",
        )


@pytest.mark.parametrize("state", [JobStateType.COMPLETED, JobStateType.FAILED])
async def test_what_has_ended_cannot_be_stopped(tmp_path, state):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        await end(room, job_id, state)
        answer = await room.http.delete(f"{JOBS}/{job_id}")
        assert (answer.status_code, answer.json()["Message"]) == (409, f"cannot stop job in state {state}")


@pytest.mark.parametrize("kind", ["service", "daemon"])
async def test_what_never_ends_has_no_results_and_no_time_limit(tmp_path, kind):
    async with open_room(tmp_path) as room:
        task = a_job()["Tasks"][0] | {"Timeouts": {"ExecutionTimeout": 5, "TotalTimeout": 10, "QueueTimeout": 3}}
        answer = await room.http.put(JOBS, json={"Job": a_job(Type=kind, Tasks=[task])})
        assert answer.json()["Warnings"] == [
            f"execution and total timeouts are ignored: a {kind} job runs until it is stopped"
        ]
        job_id = answer.json()["JobID"]
        assert (await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]["Tasks"][0]["Timeouts"] == {"QueueTimeout": 3}
        results = await room.http.get(f"{JOBS}/{job_id}/results")
        assert (results.status_code, results.json()["Message"]) == (
            400,
            f"a {kind} job has no results: it runs until it is stopped",
        )


async def test_an_explanation_names_every_node_and_stores_nothing(tmp_path):
    async with open_room(tmp_path) as room:
        join(room, "n-1", cpu=1.0)
        join(room, "n-2", engines=("noop",))
        task = a_job()["Tasks"][0] | {"Resources": {"CPU": "0.5"}}
        answer = (await room.http.post(f"{JOBS}/explain", json={"job": a_job(Count=3, Tasks=[task])})).json()
        assert (answer["State"], answer["Message"]) == (
            "Running",
            "waiting for capacity: n-1 busy: needs 0.5 CPU, free 0",
        )
        assert answer["Places"] == [{"NodeID": "n-1", "PartitionIndex": 0}, {"NodeID": "n-1", "PartitionIndex": 1}]
        assert [(n["NodeID"], n["Fits"], n["Never"], n["Reason"]) for n in answer["Nodes"]] == [
            ("n-1", True, False, ""),
            ("n-2", False, True, "cannot run docker"),
        ]
        assert answer["Needs"] == {"CPU": 0.5}
        assert (await room.http.get(JOBS)).json()["Items"] == []


async def test_an_explanation_counts_all_nodes_and_lists_them_page_by_page(tmp_path):
    async with open_room(tmp_path) as room:
        for number in range(40):
            join(room, f"n-{number:03}", engines=("docker",) if number % 2 else ("noop",), cpu=1.0 if number % 3 else 0)
        task = a_job()["Tasks"][0] | {"Resources": {"CPU": "0.5"}}

        async def ask(**query):
            answer = await room.http.post(f"{JOBS}/explain", params=query, json={"Job": a_job(Count=30, Tasks=[task])})
            return answer.json()

        whole = await ask()
        assert "NextToken" not in whole and len(whole["Nodes"]) == 40
        counts = {"Fits": 13, "NotNow": 0, "Never": 27}
        assert whole["NodeCounts"] == counts and whole["PlaceCount"] == len(whole["Places"]) == 26
        pages = [await ask(limit=15)]
        while token := pages[-1].get("NextToken"):
            pages.append(await ask(next_token=token))
        assert [len(page["Nodes"]) for page in pages] == [15, 15, 10]
        assert [node for page in pages for node in page["Nodes"]] == whole["Nodes"]
        assert [node["Fits"] for node in whole["Nodes"]] == [True] * 13 + [False] * 27
        assert all(page["NodeCounts"] == counts for page in pages)
        assert pages[0]["Places"] == whole["Places"][:15] and pages[0]["PlaceCount"] == 26


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": 1001}, "query parameter 'limit' must be a whole number from 0 to 1000, not '1001'"),
        ({"next_token": PagingToken("id", False, 5, 0, "j-1", "j-1").encoded()}, "is of another list"),
        ({"next_token": PagingToken("", False, 5, 5).encoded()}, "is of another list"),
        ({"next_token": PagingToken("", False, 5000, 0, "1", "n-1").encoded()}, "is of another list"),
    ],
)
async def test_a_page_of_an_explanation_that_is_none(tmp_path, query, words):
    async with open_room(tmp_path) as room:
        job_id = await room.submit()
        for ask in (
            room.http.post(f"{JOBS}/explain", params=query, json={"Job": a_job()}),
            room.http.get(f"{JOBS}/{job_id}/explain", params=query),
        ):
            answer = await ask
            assert answer.status_code == 400 and words in answer.json()["Message"]


async def test_an_explanation_of_what_cannot_run_is_its_error(tmp_path):
    async with open_room(tmp_path) as room:
        room.orch.started -= room.orch.settle_ns + 1
        answer = (await room.http.post(f"{JOBS}/explain", json={"Job": a_job()})).json()
        assert (answer["State"], answer["Message"], answer["Hint"]) == (
            "Failed",
            "no compute node has joined: no node can run docker",
            "see `bacalhau node list`",
        )
        wrong = await room.http.post(f"{JOBS}/explain", json={"Job": a_job(Type="")})
        assert (wrong.status_code, wrong.json()["Message"]) == (400, "missing job type")


async def test_a_queued_job_says_its_place_and_why(tmp_path):
    async with open_room(tmp_path) as room:
        join(room, cpu=1.0)
        task = a_job()["Tasks"][0] | {"Resources": {"CPU": "1"}}
        async with background(evaluate_forever(room.orch)):
            jobs = [await room.submit(Tasks=[task], Priority=priority) for priority in (9, 0, 5)]
            assert [await until_moved(room, job_id) for job_id in jobs] == ["Running", "Queued", "Queued"]
        states = [(await room.http.get(f"{JOBS}/{job_id}")).json()["Job"]["State"] for job_id in jobs]
        assert [s.get("Details") for s in states] == [None, {"QueuePosition": "2"}, {"QueuePosition": "1"}]
        why = (await room.http.get(f"{JOBS}/{jobs[1]}/explain")).json()
        assert (why["QueuePosition"], why["State"], why["Nodes"][0]["Reason"]) == (
            2,
            "Queued",
            "busy: needs 1 CPU, free 0",
        )
        runs = (await room.http.get(f"{JOBS}/{jobs[0]}/explain")).json()
        assert [p["NodeID"] for p in runs["Places"]] == ["n-1"] and runs["Places"][0]["ExecutionID"].startswith("e-")
        assert (await room.http.get(f"{JOBS}/nobody/explain")).status_code == 404


async def test_a_retry_policy_is_checked_whole(tmp_path):
    async with open_room(tmp_path) as room:
        task = a_job()["Tasks"][0] | {"retry": {"MAX": 101, "backoff": -1, "On": ["Pull", "luck"]}}
        answer = await put(room, Tasks=[task])
        assert answer.json()["Message"].splitlines() == [
            "task main validation failed: invalid retry: Max must be between 0 and 100, not 101",
            "task main validation failed: invalid retry: Backoff must be between 0 and 300 seconds, not -1",
            (
                "task main validation failed: invalid retry: On does not know 'luck': use node-lost, pull, staging,"
                " publish, engine, exit-code"
            ),
        ]
        good = await room.submit(Tasks=[task | {"retry": {"max": 2, "on": [" Exit-Code ", "pull"]}}])
        assert (await room.http.get(f"{JOBS}/{good}")).json()["Job"]["Tasks"][0]["Retry"] == {
            "Max": 2,
            "On": ["exit-code", "pull"],
        }


async def test_a_lost_connection_is_seen_in_the_explanation(tmp_path):
    async with open_room(tmp_path) as room:
        join(room, connected=False)
        answer = (await room.http.post(f"{JOBS}/explain", json={"Job": a_job()})).json()
        assert (answer["State"], answer["Nodes"][0]["Reason"]) == ("Queued", "is not connected")
        node = replace(make_candidate("n-1").node, cordoned=True)
        room.orch.cluster.put(node, now_ns())
        assert (await room.http.post(f"{JOBS}/explain", json={"Job": a_job()})).json()["Nodes"][0][
            "Reason"
        ] == "is cordoned"


async def test_executions_carry_the_evaluation_that_the_submission_named(tmp_path):
    async with open_room(tmp_path) as room:
        join(room)
        async with background(evaluate_forever(room.orch)):
            told = (await put(room, Name="hello")).json()
            assert await until_moved(room, told["JobID"]) == "Running"
        made = (await room.http.get(f"{JOBS}/hello/executions")).json()["Items"]
        assert [e["EvalID"] for e in made] == [told["EvaluationID"]]
        assert (await room.http.get(f"{JOBS}/{told['JobID']}/executions", params={"namespace": "*"})).json()[
            "Items"
        ] == []


async def test_what_is_beyond_the_quota_of_its_namespace_waits_for_that(tmp_path):
    """And starts when an execution of the namespace has ended, whatever waits for room."""
    async with open_room(tmp_path) as room, background(evaluate_forever(room.orch)):
        room.orch.cluster.quotas = Quotas({"default": Quota(cpu=1.0, executions=1)})
        join(room, cpu=8.0)
        first, second = await room.submit(), await room.submit()
        assert [await until_moved(room, job_id) for job_id in (first, second)] == ["Running", "Queued"]
        told = (await room.http.get(f"{JOBS}/{second}/explain")).json()
        assert told["Message"] == "waiting for quota: namespace default uses 1 of 1 executions"
        assert "QueuePosition" not in told
        (running,) = (await room.orch.store.load_views([first]))[first].executions
        await room.orch.commit(Change(executions=(running.moved(ComputeStateType.COMPLETED, now_ns()),)))
        async with asyncio.timeout(20):
            while (await room.http.get(f"{JOBS}/{second}")).json()["Job"]["State"]["StateType"] != "Running":
                pass
        refused = await put(room, Tasks=[{**a_job()["Tasks"][0], "Resources": {"CPU": "2"}}])
        assert refused.status_code == 400
        assert "the task exceeds the quota of namespace default, 1 CPU: ask for less" in refused.text
