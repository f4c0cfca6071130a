"""Before a job is placed, nodes are asked which of its inputs they have: real sources answer over a bus in memory."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from msgspec.structs import replace

from bacalhau.bus.local import local_bus
from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.messages.questions import on_request
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import background, crew
from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.messages import LocateInputsRequest
from bacalhau.orchestrator.evaluation.evaluator import evaluate_forever
from bacalhau.orchestrator.evaluation.locating import locate_forever, must_ask
from bacalhau.orchestrator.scheduling.view import HERE
from bacalhau.plugins.local.source import LocalSource
from tests.api.room import JOBS, a_job, open_room
from tests.unit.orchestrator.make import make_candidate


async def nothing(*_):
    return None


class Fleet:
    """Nodes that may mount what they are given; `asked` is who was asked what, in order."""

    def __init__(self, stack, room, bus, people, folder):
        self.room, self.asked, self._stack, self._bus, self._people, self._folder = room, [], stack, bus, people, folder

    def enter(self, node_id, *, native=True, cpu=2.0):
        """It is known, and nobody answers there."""
        node = make_candidate(node_id, cpu=cpu).node
        offer = replace(node.info.compute, storage_sources=("local", "urldownload"))
        self.room.orch.cluster.put(
            replace(node, info=replace(node.info, compute_node_info=offer), native=native), now_ns()
        )

    async def join(self, node_id, allowed=(), **how):
        source = LocalSource([str(path) for path in allowed])
        node = ComputeNode(
            node_id, self._folder, None, None, Plugins({}, {"local": source}, {}), Capacity(Resources()), self._people
        )

        async def answer(delivery):
            if isinstance(delivery.message, LocateInputsRequest):
                self.asked.append((node_id, [source.params["SourcePath"] for source in delivery.message.sources]))
            return await on_request(node, delivery)

        await self._stack.enter_async_context(self._bus.node(node_id).serve(nothing, nothing, nothing, answer))
        self.enter(node_id, **how)

    async def submit(self, *paths, **job):
        return await self.room.submit(**reading(*paths, **job))

    async def placed(self, job_id):
        """Its nodes, when the evaluator has looked at it."""
        token, state = "", "Pending"
        while state == "Pending":
            answer = await self.room.http.get(f"{JOBS}/{job_id}/history", params={"wait": 5, "next_token": token})
            token = answer.json()["NextToken"]
            state = (await self.room.http.get(f"{JOBS}/{job_id}")).json()["Job"]["State"]["StateType"]
        return [e.node_id for e in (await self.room.orch.store.load_views([job_id]))[job_id].executions]


@asynccontextmanager
async def open_fleet(tmp_path, runs=True):
    async with open_room(tmp_path) as room, local_bus() as bus, crew() as people, AsyncExitStack() as stack:
        room.orch.bus = bus.orchestrator
        async with background(*((evaluate_forever(room.orch), locate_forever(room.orch)) if runs else ())):
            yield Fleet(stack, room, bus, people, tmp_path)


def reading(*paths, **job):
    inputs = [
        {"Source": {"Type": "local", "Params": {"SourcePath": str(path)}}, "Target": f"/in/{n}"}
        for n, path in enumerate(paths)
    ]
    return a_job(**job, Tasks=[a_job()["Tasks"][0] | {"Resources": {"CPU": "1"}, "InputSources": inputs}])


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


async def test_a_job_goes_to_the_node_that_has_its_input_and_each_node_is_asked_once(tmp_path, data):
    async with open_fleet(tmp_path) as fleet:
        await fleet.join("n-1", cpu=8.0)
        await fleet.join("n-2", [data])
        fleet.enter("n-3", cpu=16.0, native=False)  # cannot be asked, and is no worse than before
        job_id = await fleet.submit(data)
        assert await fleet.placed(job_id) == ["n-2"]
        assert sorted(fleet.asked) == [("n-1", [str(data)]), ("n-2", [str(data)])]
        await fleet.join("n-4")
        fleet.room.orch.queue.add(job_id)
        assert await fleet.placed(await fleet.submit(data / "none")) == ["n-3"]
        assert [who for who, paths in fleet.asked if paths == [str(data)]][2:] == ["n-4"]


async def test_who_does_not_answer_has_nothing_and_holds_nobody_up(tmp_path, data):
    async with open_fleet(tmp_path) as fleet:
        fleet.enter("n-1", cpu=8.0)
        await fleet.join("n-2", [data])
        assert sorted(await fleet.placed(await fleet.submit(data, Count=3))) == ["n-1", "n-2", "n-2"]


async def test_jobs_that_come_together_are_one_question(tmp_path, data):
    async with open_fleet(tmp_path, runs=False) as fleet:
        await fleet.join("n-1", [data])
        orch, ids = fleet.room.orch, [await fleet.submit(path) for path in (data, data, data / "none")]
        assert orch.queue.asked(9) == ids
        for job_id in ids:
            assert orch.queue.take(job_id)
            orch.queue.done(job_id)
            assert must_ask(orch, await orch.store.find_job(job_id))
        async with background(locate_forever(orch)):
            await orch.queue.wait()
            assert orch.queue.asked(1) == ids[:1]
        assert fleet.asked == [("n-1", [str(data), str(data / "none")])]
        told = [orch.locality.holders(await orch.store.find_job(job_id)) for job_id in ids]
        assert [(sorted(t.held), sorted(t.lacking)) for t in told] == [(["n-1"], []), (["n-1"], []), ([], ["n-1"])]


async def test_jobs_without_such_inputs_and_those_that_run_everywhere_ask_nobody(tmp_path, data):
    async with open_fleet(tmp_path) as fleet:
        await fleet.join("n-1", [data], cpu=8.0)
        await fleet.join("n-2", cpu=8.0)
        url = {"Source": {"Type": "urlDownload", "Params": {"URL": "http://127.0.0.1/x"}}, "Target": "/in"}
        for job_id in (
            await fleet.room.submit(),
            await fleet.room.submit(Tasks=[a_job()["Tasks"][0] | {"InputSources": [url]}]),
        ):
            assert len(await fleet.placed(job_id)) == 1
        assert sorted(await fleet.placed(await fleet.submit(data, Type="ops"))) == ["n-1", "n-2"]
        assert fleet.asked == []


async def test_what_was_told_of_a_job_is_forgotten_at_its_end(tmp_path, data):
    async with open_fleet(tmp_path) as fleet:
        await fleet.join("n-1", [data])
        job_id = await fleet.submit(data)
        await fleet.placed(job_id)
        job = await fleet.room.orch.store.find_job(job_id)
        assert fleet.room.orch.locality.holders(job).held == {"n-1": HERE}
        await fleet.room.orch.commit(Change(jobs=(job.moved(JobStateType.STOPPED, now_ns()),)))
        assert fleet.room.orch.locality.holders(job).held == {}


async def test_an_explanation_says_who_has_what(tmp_path, data):
    (tmp_path / "more").mkdir()
    async with open_fleet(tmp_path) as fleet:
        await fleet.join("n-1", cpu=8.0)
        await fleet.join("n-2", [data, tmp_path / "more"])
        answer = (
            await fleet.room.http.post(f"{JOBS}/explain", json={"Job": reading(data, tmp_path / "more", Count=3)})
        ).json()
        assert [place["NodeID"] for place in answer["Places"]] == ["n-2", "n-2"]
        here, there = answer["Nodes"]
        assert (there["Never"], there["Reason"]) == (
            True,
            f"volume {data} is not allowlisted; volume {tmp_path / 'more'} is not allowlisted",
        )
        assert here["Fits"] and here["Holds"] == ["/in/0", "/in/1"] and "Holds" not in there


async def test_objects_are_not_shared_out_where_every_node_gets_all(tmp_path):
    async with open_room(tmp_path) as room:
        source = {
            "Type": "s3",
            "Params": {"Bucket": "some-bucket", "Key": "a/*", "Region": "us-east-1", "Partition": {"Type": "object"}},
        }
        tasks = [a_job()["Tasks"][0] | {"InputSources": [{"Source": source, "Target": "/in"}]}]
        for kind in ("ops", "daemon"):
            answer = await room.http.put(JOBS, json={"Job": a_job(Type=kind, Tasks=tasks)})
            assert (
                answer.status_code,
                "partition type object needs a job that is divided by its Count" in answer.json()["Message"],
            ) == (400, True)
        await room.submit(Type="service", Tasks=tasks)
        source["Params"]["Partition"] = {"Type": "none"}
        await room.submit(Type="ops", Tasks=tasks)
