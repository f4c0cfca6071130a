"""Inputs that are results of other jobs: found at submission, or when a job that is waited for has ended."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from bacalhau.lib.aio import Signal
from bacalhau.lib.errors import BadRequest, Conflict, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.job.inventory import Row, pack_rows
from bacalhau.models.job.job import InputSource, Timeouts
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.models.job.taken import JobParams
from bacalhau.models.wire import messages as m
from bacalhau.models.wire.messages import ListInputRequest, ListInputResponse, LocateInputsResponse
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.evaluation.inventory import list_forever
from bacalhau.orchestrator.evaluation.locating import locate_forever
from bacalhau.orchestrator.jobs.delete import delete_job
from bacalhau.orchestrator.jobs.explain import explain_new, explain_stored
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.scheduling.view import SECOND
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.registry import own_plugins
from bacalhau.ports.bus import Delivery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.house import open_house, wanted

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
OTHER = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"


class Listing:
    """Nodes that list each result as one object."""

    def __init__(self):
        self.asked = []

    async def ask(self, node_id, message, seconds=0):
        if not isinstance(message, ListInputRequest):
            return LocateInputsResponse()
        (taken,) = require_params(message.input.source, JobParams).pinned
        self.asked.append(taken)
        return ListInputResponse(
            page=pack_rows([Row(0, f"{taken.folder}/x", f"{taken.folder}/x", 10, "", "", "")]), sharing="whole"
        )

    async def disconnect(self, node_id):
        pass


@asynccontextmanager
async def opened(tmp_path):
    async with open_house(tmp_path) as house:
        orch = house.orch
        orch.bus = Listing()
        orch.checks = Checks(*plugin_checks(own_plugins()))
        await house.join("n-1", cpu=64, sources=("job", "ipfs"), publishers=("ipfs",))
        tasks = [asyncio.ensure_future(work(orch)) for work in (list_forever, locate_forever)]
        try:
            yield house
        finally:
            for task in tasks:
                task.cancel()


def made(name, count=1, publisher="ipfs", inputs=(), **fields):
    job = wanted(name, cpu="0.1", count=count, **fields)
    sources = tuple(
        InputSource(source=SpecConfig(type="job", params=params), target=f"/in/{n}") for n, params in enumerate(inputs)
    )
    return replace(job, tasks=(replace(job.task, publisher=SpecConfig(type=publisher), input_sources=sources or None),))


async def submit(house, job):
    answer = await submit_job(house.orch, job, force=True, warnings=())
    return answer.job_id


async def until(house, job_id, true):
    """Evaluate until the job is as wanted; return its view."""
    orch = house.orch
    async with asyncio.timeout(10):
        while True:
            await house.settle()
            view = (await orch.views.load(orch.store, [job_id]))[job_id]
            if true(view):
                return view
            await Signal().wait(0.001)


async def placed(house, job_id, version=1):
    return await until(
        house, job_id, lambda v: v.job.is_done or (v.job.version == version and len(list(v.live_current())) > 0)
    )


async def finish(house, job_id, cid=CID):
    """Have all executions of a job complete with a result, "" for none."""
    view = await placed(house, job_id, (await house.orch.store.find_job(job_id)).version)
    for execution in list(view.live_current()):
        result = SpecConfig(type="ipfs", params={"CID": cid}) if cid else None
        told = m.RunResult(execution_id=execution.id, job_id=job_id, publish_result=result)
        await on_message(house.orch, Delivery(execution.node_id, "RunResult", told))
    return (await until(house, job_id, lambda v: v.job.is_done)).job


def taken_by(job, number=0):
    return require_params(job.task.input_sources[number].source, JobParams).pinned


async def test_a_result_is_pinned_when_the_job_is_submitted_and_stays_so(tmp_path):
    async with opened(tmp_path) as house:
        first = await submit(house, made("first", count=2))
        await finish(house, first)
        reader = await submit(house, made("reader", inputs=[{"Job": "first", "path": "/outputs/a/"}]))
        job = (await placed(house, reader)).job
        assert [(t.job_id, t.job_version, t.folder, t.source.params) for t in taken_by(job)] == [
            (first, 1, "0", {"CID": f"{CID}/outputs/a"}),
            (first, 1, "1", {"CID": f"{CID}/outputs/a"}),
        ]
        assert job.inventory.objects == 2 and {t.folder for t in house.orch.bus.asked} == {"0", "1"}
        await rerun_job(house.orch, first, "default", 0, "")
        await finish(house, first, OTHER)
        assert taken_by(await house.orch.store.find_job(reader)) == taken_by(job)
        await finish(house, reader, "")
        await rerun_job(house.orch, reader, "default", 1, "", same_inputs=True)
        assert taken_by((await placed(house, reader, 2)).job) == taken_by(job)
        await finish(house, reader, "")
        await rerun_job(house.orch, reader, "default", 0, "")
        again = (await placed(house, reader, 3)).job
        assert {t.source.params["CID"] for t in taken_by(again)} == {f"{OTHER}/outputs/a"}
        assert {t.job_version for t in taken_by(again)} == {2}


async def test_what_a_user_writes_as_pinned_counts_for_nothing(tmp_path):
    async with opened(tmp_path) as house:
        await finish(house, await submit(house, made("first")))
        reader = await submit(house, made("reader", inputs=[{"Job": "first"}]))
        job = (await placed(house, reader)).job
        copied = replace(job, id="", name="copied")
        params = {**copied.task.input_sources[0].source.params}
        params["pinned"] = [params.pop("Pinned")[0] | {"JobID": "forged"}]
        source = replace(copied.task.input_sources[0], source=SpecConfig(type="job", params=params))
        forged = replace(copied, tasks=(replace(copied.task, input_sources=(source,)),))
        answer = await submit_job(house.orch, forged, force=True, warnings=())
        assert "job pinned results is ignored when submitting a job" in answer.warnings
        assert taken_by(await house.orch.store.find_job(answer.job_id)) == taken_by(job)


@pytest.mark.parametrize("wait", [False, True])
async def test_each_bad_job_is_said_in_one_line(tmp_path, wait):
    async with opened(tmp_path) as house:
        failed = await submit(house, made("failed"))
        for execution in list((await placed(house, failed)).live_current()):
            await house.tell(execution, "failed")
        await until(house, failed, lambda v: v.job.is_done)
        silent = await submit(house, made("silent"))
        await finish(house, silent, "")
        await submit(house, made("forever", kind="service"))
        bad = {
            "nobody": "job nobody is not known",
            "failed": f"job {failed[:10]} is Failed and has no result: execution failed",
            "silent": f"job {silent[:10]} published no result",
            "forever": "is a service job, which runs until it is stopped: no result",
            "j-": "job j- is ambiguous",
            "self": "job self is not known",
        }
        for name, said in bad.items():
            with pytest.raises(BadRequest) as refused:
                await submit(house, made("self", inputs=[{"Job": name, "Wait": wait}]))
            (problem,) = refused.value.problems
            assert said in problem and problem.startswith(f"input /in/0 (job://{name}): ") and refused.value.hint
        with pytest.raises(BadRequest) as refused:
            await submit(house, made("self", inputs=[{"Job": name} for name in bad]))
        assert len(refused.value.problems) == len(bad)


async def test_a_job_that_is_not_done_is_refused_unless_it_is_waited_for(tmp_path):
    async with opened(tmp_path) as house:
        first = await submit(house, made("first"))
        with pytest.raises(BadRequest, match="has no result yet") as refused:
            await submit(house, made("reader", inputs=[{"Job": first[:10]}]))
        assert "opt=wait" in refused.value.hint
        reader = await submit(house, made("reader", inputs=[{"Job": first[:10], "Wait": True}]))
        waiting = await until(house, reader, lambda v: v.job.state.state_type == "Queued")
        assert waiting.job.state.message == f"waiting for the result of job {first[:10]} (first)"
        assert (await explain_stored(house.orch, reader, "default")).message == waiting.job.state.message
        new = made("next", inputs=[{"Job": first, "Wait": True}])
        assert (await explain_new(house.orch, new, ())).message == waiting.job.state.message
        await finish(house, first)
        job = (await placed(house, reader)).job
        assert [t.job_id for t in taken_by(job)] == [first] and job.inventory.objects == 1


async def test_one_that_waits_ends_with_the_cause_when_nothing_can_come(tmp_path):
    async with opened(tmp_path) as house:
        orch = house.orch
        stopped, deleted = await submit(house, made("stopped")), await submit(house, made("deleted"))
        both = [{"Job": "stopped", "Wait": True}, {"Job": "deleted", "Wait": "true"}]
        readers = [await submit(house, made(f"r{n}", inputs=[params])) for n, params in enumerate(both)]
        for reader in readers:
            await until(house, reader, lambda v: v.job.state.state_type == "Queued")
        await stop_job(orch, stopped, "default", "changed my mind")
        first = await until(house, readers[0], lambda v: v.job.is_done)
        assert first.job.state.state_type == "Failed" and "is Stopped and has no result: changed my mind" in (
            first.job.state.message
        )
        await stop_job(orch, deleted, "default", "")
        await orch.store.forget_jobs([deleted])
        second = await until(house, readers[1], lambda v: v.job.is_done)
        assert second.job.state.message == "input /in/0 (job://deleted): job deleted is not known"
        await delete_job(orch, stopped, "default")


async def test_a_queue_limit_ends_the_wait(tmp_path):
    async with opened(tmp_path) as house:
        await submit(house, made("first"))
        job = made("reader", inputs=[{"Job": "first", "Wait": True}])
        limited = replace(job, tasks=(replace(job.task, timeouts=Timeouts(queue_timeout=60)),))
        with MovedClock() as clock:
            reader = await submit(house, limited)
            await until(house, reader, lambda v: v.job.state.state_type == "Queued")
            clock.move(61 * SECOND)
            view = await until(house, reader, lambda v: v.job.is_done)
        assert "timed out after 60 s in the queue: waiting for the result of job" in view.job.state.message


async def test_jobs_that_would_wait_for_one_another_are_refused(tmp_path):
    async with opened(tmp_path) as house:
        await submit(house, made("a"))
        await submit(house, made("b", inputs=[{"Job": "a", "Wait": True}]))
        await submit(house, made("c", inputs=[{"Job": "b", "Wait": True}]))
        with pytest.raises(BadRequest, match="jobs would wait for one another: a waits for c waits for b waits for a"):
            await submit(house, made("a", inputs=[{"Job": "c", "Wait": True}]))
        with pytest.raises(BadRequest, match="a job cannot take its own result"):
            await submit(house, made("a", inputs=[{"Job": "a", "Wait": True}]))


async def test_a_new_process_takes_up_the_wait(tmp_path):
    async with opened(tmp_path) as house:
        first = await submit(house, made("first"))
        reader = await submit(house, made("reader", inputs=[{"Job": "first", "Wait": True}]))
        await until(house, reader, lambda v: v.job.state.state_type == "Queued")
        orch = house.orch
        orch.awaited = type(orch.awaited)()
        orch.queue.add(reader)
        await until(house, reader, lambda v: orch.awaited.find(reader, 1))
        await finish(house, first)
        assert taken_by((await placed(house, reader)).job)


async def test_a_node_without_the_source_of_a_result_is_passed_over(tmp_path):
    async with opened(tmp_path) as house:
        await finish(house, await submit(house, made("first")))
        await house.join("n-1", cpu=64, sources=("job",), publishers=("ipfs",))
        reader = await submit(house, made("reader", inputs=[{"Job": "first"}]))
        view = await until(house, reader, lambda v: v.job.is_done)
        assert "cannot read inputs from ipfs" in view.job.state.message


async def test_a_job_is_not_deleted_while_another_reads_its_result(tmp_path):
    async with opened(tmp_path) as house:
        first = await submit(house, made("first"))
        await finish(house, first)
        reader = await submit(house, made("reader", inputs=[{"Job": "first"}]))
        await placed(house, reader)
        with pytest.raises(Conflict, match=f"job {first} is read by job {reader}, which is Running"):
            await delete_job(house.orch, first, "default")
        await finish(house, reader, "")
        await delete_job(house.orch, first, "default")


async def finish_managed(house, job_id):
    """Have the executions of a job complete with results in the orchestrator's own bucket."""
    for execution in list((await placed(house, job_id)).live_current()):
        result = SpecConfig(type="s3managed", params={"JobID": job_id, "ExecutionID": execution.id})
        told = m.RunResult(execution_id=execution.id, job_id=job_id, publish_result=result)
        await on_message(house.orch, Delivery(execution.node_id, "RunResult", told))
    return (await until(house, job_id, lambda v: v.job.is_done)).job


class Signer:
    """The orchestrator's links: each another one. It cannot sign the first `failing` times."""

    def __init__(self, failing=0, error=None):
        self.given, self._failing, self._error = 0, failing, error or Unavailable("no AWS credentials to sign with")

    async def __call__(self, source):
        if source.kind != "s3managed":
            return source
        if self._failing:
            self._failing -= 1
            raise self._error
        self.given += 1
        return replace(source, params=source.params | {"Link": f"http://bucket/{self.given}"})


class Wavering(Listing):
    """Nodes whose store is away the first time that they are asked for a listing."""

    async def ask(self, node_id, message, seconds=0):
        answer = await super().ask(node_id, message, seconds)
        return m.ListInputResponse(fault="the store answers 503") if len(self.asked) == 1 else answer


async def test_each_question_about_a_result_in_the_orchestrators_bucket_has_a_fresh_link_and_none_is_stored(tmp_path):
    async with opened(tmp_path) as house:
        orch = house.orch
        orch.bus, orch.sign_input = Wavering(), Signer(failing=1)
        await house.join("n-1", cpu=64, sources=("job", "s3managed"), publishers=("s3managed",))
        first = await submit(house, made("first", publisher="s3managed"))
        await finish_managed(house, first)
        reader = await submit(house, made("reader", publisher="s3managed", inputs=[{"Job": "first"}]))
        job = (await placed(house, reader)).job
        assert job.inventory.objects == 1 and not job.inventory.error
        assert [taken.source.params["Link"] for taken in orch.bus.asked] == ["http://bucket/1", "http://bucket/2"]
        assert [set(taken.source.params) for taken in taken_by(job)] == [{"JobID", "ExecutionID"}]
        assert b"http://bucket" not in encode(job)
        before = orch.sign_input.given
        fresh = made("fresh", publisher="s3managed", inputs=[{"Job": "first"}])
        assert not (await explain_new(orch, fresh, ())).inputs[0].error
        assert orch.sign_input.given == before + 1


async def test_where_the_bucket_is_not_set_up_any_more_the_reader_says_so(tmp_path):
    async with opened(tmp_path) as house:
        said = "publisher s3managed is not set up on this orchestrator"
        house.orch.sign_input = Signer(failing=1000, error=BadRequest(said))
        await house.join("n-1", cpu=64, sources=("job", "s3managed"), publishers=("s3managed",))
        await finish_managed(house, await submit(house, made("first", publisher="s3managed")))
        reader = await submit(house, made("reader", publisher="s3managed", inputs=[{"Job": "first"}]))
        job = (await until(house, reader, lambda v: v.job.inventory is not None)).job
        assert job.inventory.error == said and not house.orch.bus.asked


async def test_a_node_of_an_older_make_is_passed_over_for_a_result_in_the_orchestrators_bucket(tmp_path):
    async with opened(tmp_path) as house:
        house.orch.sign_input = Signer()
        await house.join("n-1", cpu=64, sources=("job", "s3"), publishers=("s3managed",))
        await finish_managed(house, await submit(house, made("first", publisher="s3managed")))
        reader = await submit(house, made("reader", publisher="s3managed", inputs=[{"Job": "first"}]))
        view = await until(house, reader, lambda v: v.job.is_done)
        assert "cannot read inputs from s3managed" in view.job.state.message and not house.orch.bus.asked


async def test_a_result_of_another_namespace_is_not_found_by_its_name(tmp_path):
    async with opened(tmp_path) as house:
        house.orch.sign_input = Signer()
        await house.join("n-1", cpu=64, sources=("job", "s3managed"), publishers=("s3managed",))
        await finish_managed(house, await submit(house, made("first", publisher="s3managed")))
        other = made("reader", publisher="s3managed", inputs=[{"Job": "first"}], namespace="other")
        with pytest.raises(BadRequest, match="job first is not known"):
            await submit(house, other)
        assert not house.orch.sign_input.given
