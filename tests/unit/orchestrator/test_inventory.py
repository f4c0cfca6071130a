"""Inputs are listed once for a version of a job, by a node that can, before anything is placed."""

import asyncio
import dataclasses
import json
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.lib.aio import Signal, together
from bacalhau.lib.errors import BadRequest, Conflict, Forbidden, NotFound, StorageFailure, TimedOut, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.job.inventory import Row, pack_rows, unpack_root, unpack_rows
from bacalhau.models.job.job import InputSource, Timeouts
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import (
    MESSAGE_NAMES,
    InputAnswer,
    InputPresence,
    ListInputRequest,
    ListInputResponse,
    LocateInputsRequest,
    LocateInputsResponse,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.evaluation.inventory import count_parts, list_forever, show_listing
from bacalhau.orchestrator.evaluation.locating import locate_forever
from bacalhau.orchestrator.jobs.explain import explain_new, explain_stored
from bacalhau.orchestrator.jobs.read import find_job
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.scheduling.view import SECOND
from bacalhau.ports.store import HistoryQuery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.house import open_house, wanted

PAGE = 3


def travelled(message):
    """Return a message as it arrives."""
    metadata = stamp(MESSAGE_NAMES[type(message)], "orchestrator", 1)
    return unpack(pack(encode(message), metadata)).message()


class Box:
    """A bucket, and the nodes that read it: `failing` by node id raise instead, and `faults` are answered first."""

    def __init__(self):
        self.keys = [f"k{n:02d}" for n in range(10)]
        self.failing = {}
        self.faults = []
        self.missing = []
        self.counts = []
        self.cached = {}
        self.located = []
        self.began, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def ask(self, node_id, message, seconds):
        self.began.set()
        await self.gate.wait()
        message = travelled(message)
        if error := self.failing.get(node_id):
            raise error
        if self.faults:
            return self.faults.pop(0)
        if isinstance(message, LocateInputsRequest):
            self.located.append(node_id)
            return LocateInputsResponse(places=(InputPresence(bytes=self.cached.get(node_id, 0)),))
        if isinstance(message, ResolveInputsRequest):
            error = "" if self.keys else "nothing matches"
            return ResolveInputsResponse(inputs=(InputAnswer(error=error, hint="look at the key"),))
        assert isinstance(message, ListInputRequest)
        self.counts.append(message.count)
        start = json.loads(message.place)[1] if message.place else 0
        keys = self.keys[start : start + PAGE]
        rows = [Row((start + n) % message.count, key, key, 10, f'"{key}"', "", "") for n, key in enumerate(keys)]
        more = (json.dumps(["data/", start + PAGE]),) if start + PAGE < len(self.keys) else ()
        missing = {"missing": len(self.missing), "missing_keys": tuple(self.missing)} if not start else {"missing": 1}
        sharing = "bytes" if message.input.target == "/even" else "owner"
        place = {"identity": "anonymous", "region": "eu-1", **(missing if self.missing else {})}
        return ListInputResponse(page=pack_rows(rows), following=more, sharing=sharing, **place)

    async def disconnect(self, node_id):
        pass


@asynccontextmanager
async def opened(tmp_path, box):
    async with open_house(tmp_path) as house:
        orch = house.orch
        orch.bus = box
        orch.checks = Checks({"noop": lambda _: []}, {"box": lambda _: []}, {}, listed=frozenset({"box"}))
        orch.checks = dataclasses.replace(orch.checks, divides={"box": lambda spec: (spec.params or {}).get("Part", 0)})
        await house.join("n-1", sources=("box",))
        await house.join("n-2", sources=("box",))
        listing = asyncio.ensure_future(together(list_forever(orch), locate_forever(orch)))
        try:
            yield house
        finally:
            listing.cancel()


def reading(name, count=3):
    job = wanted(name, count=count, cpu="0.1")
    source = InputSource(source=SpecConfig(type="box"), target="/in")
    return replace(job, tasks=(replace(job.task, input_sources=(source,)),))


def counting(name, part):
    job = reading(name)
    even = InputSource(source=SpecConfig(type="box", params={"Part": part}), target="/even")
    task = replace(job.task, input_sources=(*job.task.input_sources, even))
    return replace(job, type="batch", count=None, auto_count=True, tasks=(task,))


async def submit(house, job):
    answer = await submit_job(house.orch, job, force=True, warnings=())
    return answer.job_id


async def placed(house, job_id, version=1):
    """Evaluate until the version's executions are there; return the job and what they will read, by partition."""
    orch = house.orch
    async with asyncio.timeout(10):
        while True:
            await house.settle()
            view = (await orch.views.load(orch.store, [job_id]))[job_id]
            live = [e for e in view.current() if e.is_live and e.job_version == version]
            if live or view.job.is_done:
                return view.job, live
            await Signal().wait(0.001)


async def shares(house, job):
    """The keys of each partition, as a node finds them."""
    content = house.orch.content
    root = unpack_root(await content.get(job.inventory.root))
    found = {}
    for part in range(job.wanted):
        pages = [unpack_rows(await content.get(page.name)) for page in root.pages_of(part)]
        found[part] = [row.key for rows in pages for row in rows if row.part == part]
    return found


async def test_all_executions_of_a_version_read_what_was_listed_and_a_rerun_lists_anew(tmp_path):
    box = Box()
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, reading("a"))
        assert not await house.live()
        job, live = await placed(house, job_id)
        assert {e.partition_index for e in live} == {0, 1, 2}
        assert (job.inventory.objects, job.inventory.bytes) == (10, 100)
        first = await shares(house, job)
        assert sorted(key for keys in first.values() for key in keys) == box.keys
        assert first[1] == ["k01", "k04", "k07"] and job.inventory.node_id in ("n-1", "n-2")
        box.keys = [*box.keys, "later"]
        await house.tell(live[0], "failed")
        again, _ = await placed(house, job_id)
        assert again.inventory == job.inventory and await shares(house, again) == first
        await rerun_job(house.orch, job_id, job.namespace, 0, "a test")
        second, _ = await placed(house, job_id, 2)
        assert second.inventory.objects == 11 and second.inventory.root != job.inventory.root
        assert (await house.orch.store.get_job_version(job_id, 1)).inventory == job.inventory
        await rerun_job(house.orch, job_id, job.namespace, 1, "a test", same_inputs=True)
        third, _ = await placed(house, job_id, 3)
        assert third.inventory == job.inventory and await shares(house, third) == first


async def test_the_same_inputs_of_a_job_that_listed_none_are_refused(tmp_path):
    async with opened(tmp_path, Box()) as house:
        job_id = await submit(house, wanted("plain", cpu="0.1"))
        await house.settle()
        with pytest.raises(Conflict, match=f"no list of the inputs of job {job_id}, version 1 is held"):
            await rerun_job(house.orch, job_id, "default", 0, "a test", same_inputs=True)


@pytest.mark.parametrize("error", [Unavailable("gone"), TimedOut("late", retryable=True), Forbidden("no")])
async def test_where_one_node_cannot_another_lists(tmp_path, error):
    box = Box()
    box.failing = {"n-1": error}
    async with opened(tmp_path, box) as house:
        job, _ = await placed(house, await submit(house, reading("a")))
        assert job.inventory.node_id == "n-2" and job.inventory.objects == 10


async def test_what_no_node_can_list_is_said_by_each_execution(tmp_path):
    box = Box()
    box.failing = {
        "n-1": StorageFailure("bucket b does not exist", hint="check the name"),
        "n-2": Unavailable("gone"),
    }
    async with opened(tmp_path, box) as house:
        job, live = await placed(house, await submit(house, reading("a")))
        assert (job.inventory.error, job.inventory.hint) == ("bucket b does not exist", "check the name")
        assert not job.inventory.root and len(live) == 3


@pytest.mark.parametrize("error", [NotFound("nobody knows"), Conflict("odd")])
async def test_an_answer_that_no_store_gives_ends_the_job_and_not_the_orchestrator(tmp_path, error):
    box = Box()
    box.failing = {"n-1": error, "n-2": error}
    async with opened(tmp_path, box) as house:
        job, live = await placed(house, await submit(house, reading("odd")))

        assert job.inventory.error == error.message
        assert len(live) == 3


def page_of(part=0, size=1):
    return pack_rows([Row(part, "key", "key", size, "", "", "")])


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"page": b"no page"}, "a page of a list"),
        ({"page": page_of(), "marks": ("a", "b")}, "1 objects and 2 marks"),
        ({"page": page_of(part=3)}, "is of partition 3, and there are 3"),
        ({"page": page_of(part=-1)}, "is of partition -1"),
        ({"page": page_of(size=1 << 70)}, "which no object has"),
        ({"page": page_of(), "sharing": "luck"}, "shared out by 'luck'"),
        ({"page": page_of(), "following": ("x",) * 100_001}, "still to be read"),
        ({"page": pack_rows([])}, "answered for 0"),
    ],
    ids=lambda each: "" if isinstance(each, dict) else each,
)
async def test_a_page_that_no_source_gives_ends_the_job_and_not_the_orchestrator(tmp_path, lie, said):
    class Liar(Box):
        async def ask(self, node_id, message, seconds):
            if isinstance(message, ResolveInputsRequest):
                return ResolveInputsResponse()
            return replace(await super().ask(node_id, message, seconds), **{"following": (), **lie})

    async with opened(tmp_path, Liar()) as house:
        job, _ = await placed(house, await submit(house, reading("liar")))

        assert said in job.inventory.error


async def test_an_input_that_may_not_be_empty_says_so(tmp_path):
    box = Box()
    box.keys = []
    async with opened(tmp_path, box) as house:
        job, _ = await placed(house, await submit(house, reading("a")))
        assert (job.inventory.error, job.inventory.hint) == ("nothing matches", "look at the key")


async def test_all_objects_that_a_list_names_and_that_are_missing_are_counted(tmp_path):
    box = Box()
    box.missing = [f"gone-{n}" for n in range(20)]
    async with opened(tmp_path, box) as house:
        job, _ = await placed(house, await submit(house, reading("a")))
        assert job.inventory.error.startswith(
            "the list of keys names 23 objects that are not there: 'gone-0', 'gone-1'"
        )
        assert job.inventory.error.endswith("'gone-19' and 3 more")


async def test_what_an_input_holds_decides_the_count_before_the_others_are_shared_out(tmp_path):
    box = Box()
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, counting("a", 30))
        job, live = await placed(house, job_id)
        assert job.count == job.inventory.count == 4 and {e.partition_index for e in live} == {0, 1, 2, 3}
        assert [each for each in box.counts if each != 2] == [4] * 4
        assert "for 4 partitions" in str(await house.orch.store.list_history(HistoryQuery(job_id)))
        with pytest.raises(Conflict, match="no changes detected"):
            await submit_job(house.orch, counting("a", 30), force=False, warnings=())
        box.keys = box.keys[:3]
        await rerun_job(house.orch, job_id, job.namespace, 0, "a test")
        second, _ = await placed(house, job_id, 2)
        assert second.count == 1 and second.inventory.objects == 6
        await rerun_job(house.orch, job_id, job.namespace, 1, "a test", same_inputs=True)
        third, _ = await placed(house, job_id, 3)
        assert third.count == 4 and third.inventory == job.inventory


@pytest.mark.parametrize(
    ("objects", "size", "part", "count"), [(0, 0, 5, 1), (3, 0, 5, 1), (3, 90, 9, 3), (9, 90, 40, 3)]
)
def test_the_number_of_partitions(objects, size, part, count):
    assert count_parts(objects, size, part) == count


async def test_too_many_partitions_are_an_error_with_the_least_size_that_is_right(tmp_path):
    with pytest.raises(StorageFailure, match=r"make 200,000 partitions of 1 B, more than 100,000") as raised:
        count_parts(200_000, 200_000, 1)
    assert raised.value.hint == "ask for at least 2 B in a partition"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "service"}, "count auto is for batch jobs, and this one is of type service"),
        ({"type": "ops"}, "count auto is for batch jobs, and this one is of type ops"),
        ({"auto_count": False}, "bytes per partition of an input needs the count auto"),
    ],
)
async def test_a_count_that_inputs_cannot_decide_is_refused(tmp_path, change, said):
    async with opened(tmp_path, Box()) as house:
        with pytest.raises(BadRequest, match=said):
            await submit(house, replace(counting("a", 30), **change))
        with pytest.raises(BadRequest, match="count auto needs an input that says how many bytes make a partition"):
            await submit(house, replace(reading("a"), type="batch", auto_count=True))


async def test_a_listing_that_comes_too_late_leaves_nothing_behind(tmp_path):
    box = Box()
    box.gate.clear()
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, reading("a"))
        await house.settle()
        await box.began.wait()
        await stop_job(house.orch, job_id, "default", "a test")
        box.gate.set()
        async with asyncio.timeout(10):
            while job_id in house.orch.inventories.listing:
                await house.settle()
                await Signal().wait(0.001)
        job, live = await placed(house, job_id)
        assert job.inventory is None and not live
        assert not [path for path in (tmp_path / "content").rglob("*") if path.is_file()]


async def test_a_job_whose_time_is_over_while_its_inputs_are_listed_ends_in_time(tmp_path):
    box = Box()
    box.gate.clear()
    async with opened(tmp_path, box) as house:
        job = reading("a")
        limited = replace(job, tasks=(replace(job.task, timeouts=Timeouts(total_timeout=60)),))
        with MovedClock() as clock:
            job_id = await submit(house, limited)
            await house.settle()
            await box.began.wait()
            clock.move(61 * SECOND)
            job, _ = await placed(house, job_id)
            assert job.is_done and "timed out" in job.state.message
            box.gate.set()


async def test_a_new_version_that_comes_while_the_old_one_is_listed_is_listed_itself(tmp_path):
    box = Box()
    box.gate.clear()
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, reading("a"))
        await house.settle()
        await box.began.wait()
        assert await submit(house, reading("a", count=2)) == job_id
        box.gate.set()
        job, live = await placed(house, job_id, 2)
        assert job.version == 2 and {e.partition_index for e in live} == {0, 1}
        assert sorted(key for keys in (await shares(house, job)).values() for key in keys) == box.keys


async def test_a_forgotten_job_takes_its_inventory_along(tmp_path):
    box = Box()
    async with opened(tmp_path, box) as house:
        orch = house.orch
        job_id, other_id = await submit(house, reading("a")), await submit(house, reading("b"))
        await placed(house, job_id)
        other, _ = await placed(house, other_id)
        await stop_job(orch, job_id, "default", "a test")
        await house.settle()
        await orch.forgetting.forget_jobs([job_id, other_id])
        assert len([path for path in (tmp_path / "content").rglob("*") if path.is_file()]) == 2
        assert len(await orch.inventories.names_of(other.inventory.root)) == 2


@pytest.mark.parametrize("error", [TimedOut("late", retryable=True), Forbidden("no"), Unavailable("gone")])
async def test_where_no_node_can_say_anything_the_inputs_are_listed_later(tmp_path, error):
    box = Box()
    box.failing = {"n-1": error, "n-2": error}
    async with opened(tmp_path, box) as house:
        with MovedClock() as clock:
            job_id = await submit(house, reading("a"))
            await house.settle()
            await box.began.wait()
            while job_id in house.orch.inventories.listing:
                await Signal().wait(0.001)
            box.failing = {}
            clock.move(2 * SECOND)
            job, live = await placed(house, job_id)
    assert job.inventory.objects == 10 and len(live) == 3


async def test_nodes_that_do_not_know_the_question_leave_the_listing_to_each_execution(tmp_path):
    box = Box()
    box.failing = {node_id: BadRequest("a node does not answer that") for node_id in ("n-1", "n-2")}
    async with opened(tmp_path, box) as house:
        job, live = await placed(house, await submit(house, reading("a")))
    assert not job.inventory.is_made and len(live) == 3


async def test_a_fault_that_passes_is_told_while_it_lasts(tmp_path):
    box = Box()
    box.faults = [ListInputResponse(fault="the store answers 503", is_heard=True) for _ in range(8)]
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, reading("a"))
        await house.settle()
        async with asyncio.timeout(10):
            while "the store answers 503" not in (text := show_listing(house.orch, job_id)):
                await Signal().wait(0.001)
        assert text.startswith("listing inputs: 0 objects so far, by node n-1: the store answers 503")
        job, _ = await placed(house, job_id)
        assert job.inventory.objects == 10 and not show_listing(house.orch, job_id)


async def test_a_long_listing_is_told_by_everything_that_shows_the_job(tmp_path):
    box = Box()
    box.gate.clear()
    async with opened(tmp_path, box) as house:
        orch = house.orch
        job_id = await submit(house, reading("a"))
        await house.settle()
        await box.began.wait()
        async with asyncio.timeout(10):
            while not (steps := orch.board.progress(job_id)[1]):
                await Signal().wait(0.01)
        text = "listing inputs: 0 objects so far, by node n-1"
        assert (steps[0].execution_id, steps[0].stage, steps[0].note) == ("", "listing", text)
        assert (await find_job(orch, job_id)).state.message == text
        box.gate.set()
        await placed(house, job_id)
        assert "listing" not in (await find_job(orch, job_id)).state.message and not orch.board.progress(job_id)[1]


async def test_a_stored_job_is_explained_by_its_inventory_and_no_node_lists_again(tmp_path):
    box = Box()
    async with opened(tmp_path, box) as house:
        job_id = await submit(house, reading("a"))
        await placed(house, job_id)
        box.keys = []
        told = await explain_stored(house.orch, job_id, "default")
    (found,) = told.inputs
    assert (found.objects, found.bytes, found.first_keys) == (10, 100, ("k00", "k01", "k02"))
    assert (found.identity, found.region, found.is_shared, found.is_cut) == ("anonymous", "eu-1", True, False)
    assert (told.node_id, told.retry_bytes) == ("n-1", 40)
    assert [(s.partition_index, s.objects, s.bytes) for s in told.shares.first] == [(0, 4, 40), (1, 3, 30), (2, 3, 30)]
    assert told.shares.first[1].first_keys == ("k01", "k04", "k07")
    assert (told.shares.largest.partition_index, told.shares.smallest.partition_index) == (0, 2)


async def test_a_job_that_is_not_submitted_is_listed_within_bounds_and_nothing_is_kept(tmp_path, monkeypatch):
    box = Box()
    async with opened(tmp_path, box) as house:
        whole = await explain_new(house.orch, reading("a"), ())
        monkeypatch.setattr("bacalhau.orchestrator.evaluation.preview.MOST_OBJECTS", 4)
        cut = await explain_new(house.orch, reading("a"), ())
        assert not [path for path in (tmp_path / "content").rglob("*") if path.is_file()]
    assert (whole.inputs[0].objects, whole.inputs[0].is_cut, whole.shares.bytes) == (10, False, 100)
    assert (cut.inputs[0].objects, cut.inputs[0].is_cut, cut.shares.bytes) == (6, True, 60)


async def test_what_cannot_be_listed_says_so_in_the_preview_at_once(tmp_path):
    box = Box()
    box.faults = [ListInputResponse(fault="s3: cannot reach x", hint="check the endpoint")] * 9
    async with opened(tmp_path, box) as house:
        told = await explain_new(house.orch, reading("a"), ())
    assert (told.inputs[0].error, told.inputs[0].hint) == ("s3: cannot reach x", "check the endpoint")
    assert told.shares is None


async def test_a_job_goes_to_the_largest_part_of_its_inputs_and_only_nodes_with_a_cache_are_asked(tmp_path):
    box = Box()
    box.cached = {"n-2": 40, "n-3": 60, "n-4": 0}
    async with opened(tmp_path, box) as house:
        await placed(house, await submit(house, reading("cold", count=1)))
        assert not box.located
        for number, node_id in enumerate(("n-2", "n-3", "n-4")):
            await house.join(node_id, sources=("box",))
            house.orch.cluster.note_cache(node_id, 100 + number)
        job_id = await submit(house, reading("warm", count=1))
        _, (execution,) = await placed(house, job_id)
        assert execution.node_id == "n-3" and set(box.located) == {"n-2", "n-3", "n-4"}
        told = await explain_stored(house.orch, job_id, "default")
        assert {node.node_id: node.bytes_held for node in told.nodes} == {"n-1": 0, **box.cached}
        house.orch.cluster.note_cache("n-3", 0)
        box.located.clear()
        await placed(house, await submit(house, reading("again", count=1)))
        assert set(box.located) == {"n-2", "n-4"}


async def test_of_nodes_that_are_alike_one_in_the_region_of_the_inputs_is_taken(tmp_path):
    box = Box()
    async with opened(tmp_path, box) as house:
        await house.join("n-3", cpu=1.0, labels={"zone": "eu-1b"}, sources=("box",))
        new = await explain_new(house.orch, reading("a", count=1), ())
        job_id = await submit(house, reading("a", count=1))
        job, (execution,) = await placed(house, job_id)
        assert job.inventory.regions == ("eu-1",) and execution.node_id == "n-3"
        told = await explain_stored(house.orch, job_id, "default")
    for answer in (new, told):
        assert [place.node_id for place in answer.places] == ["n-3"]
        assert {node.node_id for node in answer.nodes if node.is_near} == {"n-3"}
