"""Many jobs and few places: who gets those that appear."""

from collections import Counter

from bacalhau.orchestrator.jobs.explain import explain_stored
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.scheduling.shares import Shares
from tests.unit.orchestrator.house import open_house, wanted


async def submit(house, *jobs):
    for job in jobs:
        await submit_job(house.orch, job, force=False, warnings=())
    await house.settle()


async def end_all(house, rounds):
    """Executions end one after the other, the oldest first."""
    for _ in range(rounds):
        await house.tell((await house.live())[0], "done")
        await house.settle()


async def running(house, of):
    jobs = {job.id: job for job in await house.orch.store.list_open_jobs()}
    return Counter(of(jobs[e.job_id]) for e in await house.live())


async def test_a_job_of_many_parts_gives_way_to_the_small_ones_behind_it(tmp_path):
    async with open_house(tmp_path) as house:
        await house.join("n-1", 8.0)
        await submit(house, wanted("many", count=1000), *(wanted(f"small-{n}") for n in range(6)))
        assert await running(house, lambda job: job.name) == {"many": 8}
        await end_all(house, 3)
        assert await running(house, lambda job: job.name) == {"many": 5, "small-0": 1, "small-1": 1, "small-2": 1}
        await end_all(house, 3)
        assert (await running(house, lambda job: job.name))["many"] == 2


async def test_namespaces_get_room_by_their_weights(tmp_path):
    async with open_house(tmp_path, shares=Shares({"team-a": 3})) as house:
        await house.join("n-1", 8.0)
        await submit(house, *(wanted(f"{team}-many", count=500, namespace=team) for team in ("team-a", "team-b")))
        assert await running(house, lambda job: job.namespace) == {"team-a": 8}
        await end_all(house, 20)
        assert await running(house, lambda job: job.namespace) == {"team-a": 6, "team-b": 2}


async def test_explain_says_what_a_jobs_place_follows_from(tmp_path):
    async with open_house(tmp_path, shares=Shares({"team-a": 2})) as house:
        await house.join("n-1", 4.0)
        await submit(house, wanted("first", count=4, namespace="team-a"), wanted("second", namespace="team-a"))
        answer = await explain_stored(house.orch, "second", "team-a")
        assert (answer.queue_position, answer.turn) == (
            1,
            "priority 0; namespace team-a has 100% of the nodes at weight 2",
        )


async def test_an_end_costs_one_evaluation_however_many_wait(tmp_path):
    async with open_house(tmp_path) as house:
        await house.join("n-1", 4.0)
        await submit(house, *(wanted(f"job-{n}") for n in range(40)))
        before = len(house.orch.store.changes)
        await end_all(house, 10)
        assert len(house.orch.store.changes) - before == 20
