"""Results used again: only where all that decides them is the same, and they are still in their places."""

import pytest
from msgspec.structs import replace

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.inventory import Row, pack_rows
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.uses import Reuse
from bacalhau.models.wire.messages import (
    InputAnswer,
    ListInputRequest,
    ListInputResponse,
    LocateInputsResponse,
    ResolveInputsResponse,
    RunResult,
)
from bacalhau.orchestrator.jobs.delete import delete_job
from bacalhau.orchestrator.jobs.read import list_results
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.scheduling.view import SECOND
from bacalhau.ports.bus import Delivery
from bacalhau.ports.store import HistoryQuery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.house import wanted
from tests.unit.orchestrator.test_taking import CID, OTHER, finish, opened, placed, submit, until

ASKED = Reuse(enabled=True)


class Bucket:
    """A node's answers: the objects of a bucket by partition, and which results it finds."""

    def __init__(self):
        self.shares = {0: {"a": '"1"'}, 1: {"b": '"1"'}}
        self.lost = False

    async def ask(self, node_id, message, seconds=0):
        if isinstance(message, ListInputRequest):
            rows = [Row(part, k, k, 1, etag, "", "") for part, keys in self.shares.items() for k, etag in keys.items()]
            return ListInputResponse(page=pack_rows(rows), sharing="owner")
        if hasattr(message, "inputs"):
            return ResolveInputsResponse(
                inputs=tuple(InputAnswer(error="gone" if self.lost else "") for _ in message.inputs)
            )
        return LocateInputsResponse()

    async def disconnect(self, node_id):
        pass


def asked(name, reuse=ASKED, **task):
    """A batch job of two partitions that read shares of a bucket."""
    job = wanted(name, cpu="0.1", count=2)
    source = InputSource(source=SpecConfig(type="s3", params={"Bucket": "bucket", "Key": "k/"}), target="/in")
    own = {"publisher": SpecConfig(type="ipfs"), "network": NetworkConfig(type="None"), "input_sources": (source,)}
    return replace(job, reuse=reuse, tasks=(replace(job.task, **(own | task)),))


async def house_of(house):
    house.orch.bus = Bucket()
    await house.join("n-1", cpu=64, sources=("job", "ipfs", "s3", "urldownload"), publishers=("ipfs",))
    return house.orch


async def events(orch, job_id):
    return [item.event.message for item in await orch.store.list_history(HistoryQuery(job_id))]


async def current(house, job_id):
    view = await placed(house, job_id, (await house.orch.store.find_job(job_id)).version)
    return view.job, {e.partition_index: e for e in view.current()}


async def test_the_same_work_is_not_done_twice_and_only_the_changed_share_runs(tmp_path):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        first = await submit(house, asked("first"))
        await finish(house, first)
        second = await submit(house, asked("second"))
        job, executions = await current(house, second)
        assert job.state.state_type == "Completed" and not await house.live()
        origin = {e.partition_index: e for e in (await orch.views.load(orch.store, [first]))[first].current()}
        for part, execution in executions.items():
            assert (execution.reused.job_id, execution.reused.execution_id) == (first, origin[part].id)
            assert execution.published_result == origin[part].published_result
            text = f"Result of execution {origin[part].id[:10]} of job {first[:10]} used again"
            assert execution.compute_state.message == text and text in await events(orch, second)
        assert [r.result.params for r in (await list_results(orch, second)).items] == [{"CID": CID}] * 2
        orch.bus.shares[1]["new"] = '"1"'
        third = await submit(house, asked("third"))
        job, executions = await current(house, third)
        assert executions[0].reused.execution_id == origin[0].id and executions[1].is_live
        assert "Results used again for 1 of 2 partitions" in await events(orch, third)
        await finish(house, third, OTHER)
        orch.bus.shares[0]["a"] = '"2"'
        _, executions = await current(house, await submit(house, asked("fourth")))
        assert executions[0].is_live and executions[1].published_result.params == {"CID": OTHER}


@pytest.mark.parametrize(
    "task",
    [
        {"engine": SpecConfig(type="noop", params={"Sleep": 1})},
        {"env": {"A": "b"}},
        {"publisher": SpecConfig(type="local")},
        {"resources": ResourcesConfig(cpu="0.1", gpu="1")},
        {"input_sources": None},
    ],
)
async def test_what_decides_a_result_must_be_the_same(tmp_path, task):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        await finish(house, await submit(house, asked("first")))
        other = await submit(house, asked("other", **task))
        await until(house, other, lambda v: v.job.state.state_type != "Pending")
        view = (await orch.views.load(orch.store, [other]))[other]
        assert not [e for e in view.current() if e.reused]


async def test_another_namespace_a_failed_result_an_old_one_and_a_lost_one_are_not_used(tmp_path):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        with MovedClock() as clock:
            await finish(house, await submit(house, asked("first")))
            _, executions = await current(house, await submit(house, replace(asked("a"), namespace="other")))
            assert not any(e.reused for e in executions.values())
            clock.move(3601 * SECOND)
            aged = asked("b", Reuse(enabled=True, max_age="1h"))
            b = await submit(house, aged)
            _, executions = await current(house, b)
            assert not any(e.reused for e in executions.values()) and "No earlier result fits" in await events(orch, b)
            orch.bus.lost = True
            _, executions = await current(house, await submit(house, asked("c")))
            assert not any(e.reused for e in executions.values())
            orch.bus.lost = False
            _, executions = await current(house, await submit(house, replace(aged, name="d", reuse=ASKED)))
            assert all(e.reused for e in executions.values())


async def test_a_result_that_is_used_again_counts_its_age_from_the_run(tmp_path):
    async with opened(tmp_path) as house:
        await house_of(house)
        with MovedClock() as clock:
            first = await submit(house, asked("first"))
            await finish(house, first)
            clock.move(1800 * SECOND)
            await current(house, await submit(house, asked("second")))
            clock.move(1801 * SECOND)
            _, executions = await current(house, await submit(house, asked("third", Reuse(enabled=True, max_age="1h"))))
            assert not any(e.reused for e in executions.values())
            _, executions = await current(house, await submit(house, asked("fourth")))
            assert {e.reused.job_id for e in executions.values()} == {first}


PLACES = {
    "s3": {"Bucket": "box", "Key": "results/{jobID}/{executionID}", "Region": "us-east-1"},
    "s3managed": {},
    "local": {},
    "gcs": {"Bucket": "box", "Key": "results/{jobID}/{executionID}"},
    "azure": {"Container": "box", "Key": "results/{jobID}/{executionID}"},
}


def place_of(kind, execution):
    """Return the result that a node reports of an execution: its place says whose it is."""
    if kind == "s3managed":
        return SpecConfig(type=kind, params={"JobID": execution.job_id, "ExecutionID": execution.id})
    if kind == "local":
        return SpecConfig(type="urldownload", params={"URL": f"http://10.0.0.1:6001/{execution.id}.tar.gz"})
    key = f"results/{execution.job_id}/{execution.id}.tar.gz"
    return SpecConfig(type=kind, params=PLACES[kind] | {"Key": key})


@pytest.mark.parametrize("kind", PLACES)
async def test_a_result_whose_place_names_the_job_that_made_it_is_used_by_others_and_by_the_next(tmp_path, kind):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        sources = ("job", "s3", "s3managed", "urldownload", "gcs", "azure")
        await house.join("n-1", cpu=64, sources=sources, publishers=tuple(PLACES))
        task = {"publisher": SpecConfig(type=kind, params=PLACES[kind])}
        first = await submit(house, asked("first", **task))
        view = await placed(house, first)
        for execution in list(view.live_current()):
            told = RunResult(execution_id=execution.id, job_id=first, publish_result=place_of(kind, execution))
            await on_message(orch, Delivery(execution.node_id, "RunResult", told))
        made = list((await until(house, first, lambda v: v.job.is_done)).current())
        for name in ("second", "third"):
            job, executions = await current(house, await submit(house, asked(name, **task)))
            assert job.state.state_type == "Completed", await events(orch, job.id)
            assert {e.reused.execution_id for e in executions.values()} == {e.id for e in made}
            assert [r.result.type for r in (await list_results(orch, job.id)).items] == [
                e.published_result.type for e in made
            ]


DOUBTS = {
    "a network": ({"network": NetworkConfig()}, "the task may use a network (type Default; None would not)"),
    "docker": (
        {"engine": SpecConfig(type="docker", params={"Image": "alpine:3"})},
        "image alpine:3 is not pinned by its digest",
    ),
    "env": ({"env": {"TOKEN": "env:TOKEN"}}, "variable TOKEN comes from the node"),
    "url": (
        {
            "input_sources": (
                InputSource(source=SpecConfig(type="urlDownload", params={"URL": "http://a/b"}), target="/u"),
            )
        },
        "input /u of type urlDownload is not known before the task runs",
    ),
}


@pytest.mark.parametrize("name", DOUBTS)
async def test_what_is_in_doubt_is_not_used_unless_said_and_the_reason_is_told(tmp_path, name):
    task, said = DOUBTS[name]
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        await house.join(
            "n-1", cpu=64, engines=("noop", "docker"), sources=("s3", "ipfs", "urldownload"), publishers=("ipfs",)
        )
        answer = await submit_job(orch, asked("first", **task), force=True, warnings=())
        assert any(said in text and "Reuse.Unpinned" in text for text in answer.warnings)
        await finish(house, answer.job_id)
        assert any(
            text.startswith("No result is used again: ") and said in text for text in await events(orch, answer.job_id)
        )
        _, executions = await current(house, await submit(house, asked("second", **task)))
        assert not any(e.reused for e in executions.values())
        anyway = Reuse(enabled=True, unpinned=True)
        third = await submit(house, asked("third", anyway, **task))
        await finish(house, third)
        _, executions = await current(house, await submit(house, asked("fourth", anyway, **task)))
        assert {e.reused.job_id for e in executions.values()} == {third}


async def test_a_rerun_looks_again_and_a_job_that_did_not_ask_runs(tmp_path):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        first = await submit(house, asked("first"))
        await finish(house, first)
        await rerun_job(orch, first, "default", 0, "")
        job, executions = await current(house, first)
        assert job.version == 2 and all(e.reused for e in executions.values() if e.job_version == 2)
        _, executions = await current(house, await submit(house, asked("second", None)))
        assert all(e.is_live for e in executions.values())


async def test_a_result_in_use_outlives_the_job_that_made_it(tmp_path):
    async with opened(tmp_path) as house:
        orch = await house_of(house)
        (cid,) = await orch.content.keep_raw([b"the result"])
        first, second = await submit(house, asked("first")), ""
        await finish(house, first, cid)
        second = await submit(house, asked("second"))
        await current(house, second)
        assert (await delete_job(orch, first, "default")).freed_bytes == 0
        assert await orch.content.get(cid) == b"the result"
        third = await submit(house, asked("third"))
        _, executions = await current(house, third)
        assert {e.reused.job_id for e in executions.values()} == {first}
        assert [r.result.params for r in (await list_results(orch, third)).items] == [{"CID": cid}] * 2


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            asked("a", Reuse(enabled=True, max_age="soon")),
            "Reuse.MaxAge must be a duration such as 24h or 90m, not 'soon'",
        ),
        (replace(asked("a"), type="service"), "Reuse is for batch jobs, not for those of type service"),
    ],
)
async def test_a_wrong_wish_is_refused(tmp_path, job, said):
    async with opened(tmp_path) as house:
        with pytest.raises(BadRequest, match=said):
            await submit(house, job)
