"""Nodes that are full hear whose inputs they will need next, and get just that when they have room."""

from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import PrefetchResponse
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.evaluation.foretelling import foretell
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node
from bacalhau.orchestrator.state.foretold import share_out
from tests.unit.orchestrator.house import open_house, wanted

INPUT = InputSource(source=SpecConfig(type="s3", params={"Bucket": "b", "Key": "k"}), target="/in")


class Hearing:
    """Nodes that note what they are told; `error` is their answer to it."""

    def __init__(self):
        self.told, self.error = [], None

    async def ask(self, node_id, message, seconds=0):
        self.told.append((node_id, [(piece.job.id, piece.partition) for piece in message.pieces]))
        self.last = message
        if self.error:
            raise self.error
        return PrefetchResponse()

    async def disconnect(self, node_id):
        pass


@asynccontextmanager
async def full_house(folder, *nodes):
    async with open_house(folder) as house:
        house.orch.bus = Hearing()
        house.orch.checks = Checks({"noop": lambda _: []}, {"s3": lambda _: []}, {})
        for node_id in nodes:
            await house.join(node_id, cpu=1, sources=("s3",))
        yield house


async def submit(house, name, **fields):
    job = wanted(name, **fields)
    job = replace(job, tasks=(replace(job.task, input_sources=(INPUT,), env={"KEY": "secret"}),))
    answer = await submit_job(house.orch, job, force=True, warnings=())
    await house.settle()
    return answer.job_id


async def told(house):
    """What nodes are told now, in any order."""
    house.orch.bus.told.clear()
    await foretell(house.orch)
    return sorted(house.orch.bus.told)


async def end(house, node_id):
    (execution,) = [e for e in await house.live() if e.node_id == node_id]
    await house.tell(execution, "done")
    await house.settle()


async def places(house):
    return {e.node_id: e.partition_index for e in await house.live()}


async def test_a_full_node_hears_of_the_two_jobs_that_come_next_until_that_changes(tmp_path):
    async with full_house(tmp_path, "n-1") as house:
        _, second, third, fourth = [await submit(house, f"job-{n}") for n in range(4)]
        assert await told(house) == [("n-1", [(second, 0), (third, 0)])]
        assert await told(house) == []
        (piece, _) = house.orch.bus.last.pieces
        assert (piece.job.namespace, piece.job.task.input_sources, piece.job.task.env) == ("default", (INPUT,), None)
        await stop_job(house.orch, second, "default", "")
        await house.settle()
        assert await told(house) == [("n-1", [(third, 0), (fourth, 0)])]


async def test_what_has_begun_stays_until_it_ends_for_it_may_wait_for_what_is_on_its_way(tmp_path):
    async with full_house(tmp_path, "n-1") as house:
        await submit(house, "first")
        second = await submit(house, "second")
        assert await told(house) == [("n-1", [(second, 0)])]
        await end(house, "n-1")
        assert await told(house) == []
        await end(house, "n-1")
        assert await told(house) == [("n-1", [])]
        assert await told(house) == []


async def test_a_node_that_has_room_gets_the_partition_that_it_was_told_of(tmp_path):
    async with full_house(tmp_path, "n-1", "n-2", "n-3") as house:
        job_id = await submit(house, "job", count=9)
        first = dict(await told(house))
        assert sorted(first) == ["n-1", "n-2", "n-3"]
        assert sorted(index for ((_, index),) in first.values()) == [3, 4, 5]
        for node_id in ("n-3", "n-1", "n-2"):
            await end(house, node_id)
            assert [(node_id, (await places(house))[node_id])] == [(node_id, index) for _, index in first[node_id]]
            await foretell(house.orch)
        assert sorted(house.orch.foretold.partitions(job_id, 1).values()) == [6, 7, 8]


async def test_a_node_hears_nothing_where_another_one_may_be_free_first(tmp_path):
    async with full_house(tmp_path, "n-1", "n-2") as house:
        for n in range(3):
            await submit(house, f"job-{n}")
        assert await told(house) == []


@pytest.mark.parametrize("action", ["cordon", "drain"])
async def test_a_node_that_takes_nothing_more_ends_what_is_on_its_way(tmp_path, action):
    async with full_house(tmp_path, "n-1") as house:
        await submit(house, "first")
        second = await submit(house, "second")
        assert await told(house) == [("n-1", [(second, 0)])]
        await change_node(house.orch, "n-1", NodeChange(action))
        await house.settle()
        assert await told(house) == [("n-1", [])]


async def test_who_did_not_hear_is_told_again_and_who_knows_no_hints_is_not(tmp_path):
    async with full_house(tmp_path, "n-1") as house:
        for n in range(2):
            await submit(house, f"job-{n}")
        house.orch.bus.error = Unavailable("no answer")
        assert len(await told(house)) == 1
        house.orch.bus.error = BadRequest("a node does not answer that")
        assert len(await told(house)) == 1
        assert await told(house) == []
        await house.join("n-1", cpu=1, sources=("s3",))  # it has a new connection, and may be another version
        assert len(await told(house)) == 1


NODES = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True)


@given(NODES, st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_partitions_stay_with_their_nodes_and_are_shared_out_to_all_or_to_none(nodes, before, opened):
    before = {node: index for node, index in before.items() if list(before.values()).count(index) == 1}
    given_out = share_out(nodes, before, sorted(opened))
    assert len(set(given_out.values())) == len(given_out)
    assert {node: index for node, index in before.items() if node in nodes}.items() <= given_out.items()
    assert set(given_out) in (set(nodes), set(nodes) & set(before))
