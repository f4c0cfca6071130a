"""The disk of a task bounds what its sources bring and what it leaves, whatever servers say before."""

import asyncio
import io
import tarfile
from base64 import b64encode

import pytest

from bacalhau.border.addresses import Reach
from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.execution.inputs import stage_inputs
from bacalhau.compute.execution.runner import run_execution
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import InputSource, Job, ResultPath, Task, Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import PUBLISH, STAGING, TIMEOUT
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeInfo
from bacalhau.plugins.inline.source import InlineSource
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import Link, encode_directory, encode_node
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.plugins.s3.source import S3Source
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.storage import Manifest, Partition, Volume
from tests.support.endless import MB, Endless


class Silent:
    """A NodeBus that nobody listens to."""

    async def tell(self, message):
        raise Unavailable("nobody listens")


class Writes(NoopEngine):
    """Leaves a sparse result of `size` bytes."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    async def run(self, task, report):
        with (task.stdout.parent / "outputs" / "large").open("wb") as file:
            file.truncate(self.size)
        return await super().run(task, report)


class Slow:
    """A Publisher that never ends."""

    def __init__(self):
        self.published = 0

    async def publish(self, result, report):
        self.published += 1
        await asyncio.Event().wait()


async def run(tmp_path, task, *, disk, sources=None, engine=None, publishers=None):
    granted = Resources(disk=disk)
    execution = Execution(
        id="e-1",
        job=Job(id="j-1", tasks=(task,), create_time=now_ns()),
        allocated_resources=AllocatedResources(tasks={"main": granted}),
    )
    plugins = Plugins({"noop": engine or NoopEngine()}, sources or {}, publishers or {})
    async with crew() as people:
        node = ComputeNode(
            "n-1", tmp_path / "node", None, Silent(), plugins, Capacity(Resources(disk=100 * disk)), people
        )
        node.told = NodeInfo(node_id="n-1", node_type="Compute")
        running = node.running[execution.id] = Running(asyncio.sleep)
        return await run_execution(node, execution, running)


def task(*inputs, **more):
    sources = tuple(InputSource(source=source, target=f"/inputs/{n}") for n, source in enumerate(inputs))
    return Task(name="main", engine=SpecConfig(type="noop", params={}), input_sources=sources, **more)


def on_disk(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def test_a_server_that_tells_no_length_fills_no_disk(tmp_path):
    head = b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"
    async with (
        Endless(head, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") as server,
        UrlSource(reach=Reach(own=True)) as source,
    ):
        spec = SpecConfig(type="urlDownload", params={"URL": f"{server.url}/file"})
        outcome = await run(tmp_path, task(spec), disk=5 * MB, sources={"urldownload": source})
    assert outcome.kind == STAGING and not outcome.error.retryable
    assert "more than the task's disk of 5.0 MB" in outcome.error.message
    assert "Resources.Disk" in outcome.error.hint
    assert on_disk(tmp_path) < 8 * MB and server.sent < 20 * MB


async def test_an_object_that_is_said_to_be_larger_is_not_begun(tmp_path):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n"
    async with Endless(head, b"") as server, UrlSource(reach=Reach(own=True)) as source:
        spec = SpecConfig(type="urlDownload", params={"URL": f"{server.url}/file"})
        outcome = await run(tmp_path, task(spec, spec), disk=10 * MB, sources={"urldownload": source})
    assert outcome.error.message == "inputs need 12.0 MB, more than the task's disk of 10.0 MB"
    assert server.sent == 0


@pytest.mark.usefixtures("credentials")
async def test_an_s3_object_without_a_length(tmp_path):
    head = b"HTTP/1.1 200 OK\r\nx-amz-request-id: 1\r\n\r\n"
    async with Endless(head, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") as server:
        source = S3Source(Reach(own=True))
        spec = SpecConfig(
            type="s3", params={"Bucket": "bucket", "Key": "key", "Endpoint": server.url, "Region": "us-east-1"}
        )
        outcome = await run(tmp_path, task(spec), disk=5 * MB, sources={"s3": source})
        await source.close()
    assert "more than the task's disk of 5.0 MB" in outcome.error.message
    assert on_disk(tmp_path) < 8 * MB and server.sent < 20 * MB


async def test_an_archive_that_says_less_than_it_holds(tmp_path):
    """The length at the end of gzip is anybody's to write."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 50 * MB
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    data = packed.getvalue()[:-4] + b"\1\0\0\0"
    spec = SpecConfig(type="inline", params={"URL": f"data:application/gzip;base64,{b64encode(data).decode()}"})
    outcome = await run(tmp_path, task(spec), disk=5 * MB, sources={"inline": InlineSource()})
    assert "Resources.Disk" in outcome.error.hint and on_disk(tmp_path) < 8 * MB


async def test_a_result_larger_than_the_disk_is_not_published(tmp_path):
    publisher = Slow()
    wanted = task(
        result_paths=(ResultPath(name="outputs", path="/outputs"),), publisher=SpecConfig(type="slow", params={})
    )
    outcome = await run(tmp_path, wanted, disk=5 * MB, engine=Writes(1 << 40), publishers={"slow": publisher})
    assert (publisher.published, outcome.kind, outcome.error.retryable) == (0, PUBLISH, False)
    assert outcome.error.message == "the result has 1.1 TB, more than the task's disk of 5.0 MB"
    assert "Resources.Disk" in outcome.error.hint


async def test_a_task_that_asks_for_no_disk_has_the_nodes_bound(tmp_path):
    wanted = task(
        result_paths=(ResultPath(name="outputs", path="/outputs"),), publisher=SpecConfig(type="slow", params={})
    )
    outcome = await run(tmp_path, wanted, disk=0, engine=Writes(1 << 40), publishers={"slow": Slow()})
    assert outcome.error.message == "the result has 1.1 TB, more than the task's disk of 16.0 GB"


async def test_ipfs_content_that_says_nothing_of_its_size(tmp_path):
    """One block under a hundred names, each said to have no byte."""
    store = BlockStore(tmp_path / "store")
    leaf = bytes(200_000)
    cid = cid_of(leaf, RAW, 1)
    links = [Link(cid, b"%03d" % number, 0) for number in range(100)]
    tree = encode_node(links, encode_directory())
    root = cid_of(tree, DAG_PB, 1)
    await store.put({str(cid): leaf, str(root): tree})
    spec = SpecConfig(type="ipfs", params={"CID": str(root)})
    outcome = await run(tmp_path, task(spec), disk=5 * MB, sources={"ipfs": IpfsSource(store)})
    assert outcome.kind == STAGING
    assert on_disk(tmp_path / "node") < 8 * MB


@pytest.mark.parametrize(
    ("limits", "whose"),
    [
        (Timeouts(execution_timeout=1), "the execution's"),
        (Timeouts(total_timeout=1), "the job's total"),
        (Timeouts(execution_timeout=9, total_timeout=1), "the job's total"),
    ],
)
async def test_a_limit_of_time_holds_while_a_result_is_published(tmp_path, limits, whose):
    publisher = Slow()
    wanted = task(publisher=SpecConfig(type="slow", params={}), timeouts=limits)
    outcome = await run(tmp_path, wanted, disk=MB, publishers={"slow": publisher})
    assert (publisher.published, outcome.kind) == (1, TIMEOUT)
    assert outcome.error.message == f"timed out after 1 s: {whose} time limit is over (while its result was published)"


class Unknown:
    """A Storage of which nobody knows what it holds until it may answer."""

    def __init__(self):
        self.may_answer = asyncio.Event()

    async def resolve(self, source, part):
        await self.may_answer.wait()
        return Manifest(source, ())

    async def fetch(self, manifest, into, report):
        return Volume(into)


async def test_of_many_inputs_the_progress_names_a_few(tmp_path):
    """Each that is found out about makes a new note: thousands of names in each would be much to send."""
    notes, folder = [], tmp_path / "inputs"
    folder.mkdir()
    quick = SpecConfig(type="inline", params={"URL": "data:;base64," + b64encode(b"x").decode()})
    async with crew() as people:
        node = ComputeNode(
            "n-1", tmp_path, None, Silent(), Plugins({}, {"inline": InlineSource()}, {}), Capacity(Resources()), people
        )
        job = Job(id="j-1", tasks=(task(*[quick] * 5),))
        await stage_inputs(node, job, Partition(0, 1), folder, MB, lambda step: notes.append(step.note))
    names = ", ".join(f"inline at /inputs/{n}" for n in range(3))
    assert notes[0] == f"finding out what {names} and 2 more holds"


async def test_the_progress_names_the_inputs_that_are_still_to_be_found_out_about(tmp_path):
    slow, notes = Unknown(), []

    def report(step):
        notes.append(step.note)
        if step.note == "finding out what ipfs at /inputs/1 holds":
            slow.may_answer.set()

    quick = SpecConfig(type="inline", params={"URL": "data:;base64," + b64encode(b"x").decode()})
    job = Job(id="j-1", tasks=(task(quick, SpecConfig(type="ipfs", params={})),))
    folder = tmp_path / "inputs"
    folder.mkdir()
    async with crew() as people:
        plugins = Plugins({}, {"inline": InlineSource(), "ipfs": slow}, {})
        node = ComputeNode("n-1", tmp_path, None, Silent(), plugins, Capacity(Resources()), people)
        await stage_inputs(node, job, Partition(0, 1), folder, MB, report)
    assert notes[0] == "finding out what inline at /inputs/0, ipfs at /inputs/1 holds" and notes[-1] == ""


class Late:
    """A ContentStore of one block, which answers when it may."""

    def __init__(self, block):
        self._block = block
        self.may_answer = asyncio.Event()

    async def get(self, cid):
        await self.may_answer.wait()
        return self._block


async def test_the_progress_tells_what_finding_out_waits_for(tmp_path, monkeypatch):
    monkeypatch.setattr("bacalhau.plugins.ipfs.source._SLOW_SECONDS", 0.01)
    cid, content, notes = cid_of(b"hello", RAW, 1), Late(b"hello"), []

    def report(step):
        notes.append(step.note)
        if "waiting" in step.note:
            content.may_answer.set()

    job = Job(id="j-1", tasks=(task(SpecConfig(type="ipfs", params={"CID": str(cid)})),))
    folder = tmp_path / "inputs"
    folder.mkdir()
    async with crew() as people:
        plugins = Plugins({}, {"ipfs": IpfsSource(content, patience=5.0)}, {})
        node = ComputeNode("n-1", tmp_path, None, Silent(), plugins, Capacity(Resources()), people)
        await stage_inputs(node, job, Partition(0, 1), folder, MB, report)
    finding = "finding out what ipfs at /inputs/0 holds"
    assert notes[:4] == [finding, f"{finding}: waiting for content {cid}", finding, ""] and notes[-1] == ""
