"""Whether a node takes an execution, with real sources and real reasons."""

import msgspec
import pytest

from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.messages.admission import find_refusal
from bacalhau.compute.state.capacity import Capacity
from bacalhau.compute.state.policy import Admission
from bacalhau.config.plugins import DockerSettings
from bacalhau.lib.aio import crew
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.admission import NodePolicy
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.rules import read_rules
from bacalhau.plugins.inline.source import InlineSource
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.local.source import LocalSource
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result

NOTHING = Resources()
EMPTY_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


class Says:
    """A Probe."""

    def __init__(self, reason):
        self.reason, self.asked = reason, []

    async def ask(self, job):
        self.asked.append(job)
        return self.reason


@pytest.fixture
async def ask(tmp_path):
    """Asks a node with these rules about a task."""
    (tmp_path / "data").mkdir()
    sources = {
        "inline": InlineSource(),
        "local": LocalSource([str(tmp_path / "data")]),
        "ipfs": IpfsSource(BlockStore(tmp_path / "blocks")),
        "urldownload": UrlSource(),
    }
    docker = DockerEngine(
        rules=read_rules(DockerSettings(networks=("None",), allowed_registries=("ghcr.io",)), is_own=True)
    )
    plugins = Plugins(
        {"noop": NoopEngine(), "docker": docker}, sources, {"ipfs": IpfsPublisher(BlockStore(tmp_path / "blocks"))}
    )
    async with crew() as people:

        async def find(admission, task, need=NOTHING):
            node = ComputeNode(
                "n-1", tmp_path, None, None, plugins, Capacity(Resources(cpu=2.0)), people, admission=admission
            )
            allocated = AllocatedResources(tasks={"main": need})
            return await find_refusal(
                node, Execution(id="e-1", job=Job(id="j-1", tasks=(task,)), allocated_resources=allocated)
            )

        yield find


def task(*sources, engine="noop", **fields):
    inputs = tuple(
        InputSource(source=SpecConfig(type=kind, params=params), target=f"/{n}")
        for n, (kind, params) in enumerate(sources)
    )
    return Task(name="main", engine=SpecConfig(type=engine), input_sources=inputs, **fields)


async def test_by_itself_a_node_takes_what_it_can_do(ask):
    assert await ask(Admission(), task()) == ""
    assert await ask(Admission(), task(publisher=SpecConfig(type="noop"))) == ""
    reason = await ask(
        Admission(), task(("s3", {}), engine="wasm", publisher=SpecConfig(type="S3")), Resources(cpu=3.0)
    )
    assert reason == "cannot run wasm; cannot read inputs from s3; cannot publish to s3; needs 3 CPU, has 2"


async def test_every_reason_is_given_and_probes_are_asked_last(ask):
    probe = Says("no")
    rules = Admission(policy=NodePolicy(reject_networked_jobs=True, reject_stateless_jobs=True), probes=(probe,))
    reason = await ask(rules, task(network=NetworkConfig(type="Host"), env={"A": "env:B"}))
    assert reason.split("; ") == [
        "does not accept jobs that use a network (this one asks for Host)",
        "does not accept jobs without inputs",
        "environment variable A asks for B of the node, which Compute.Env.AllowList does not allow",
    ]
    assert probe.asked == []


async def test_an_engine_says_what_its_node_does_not_allow(ask):
    def container(image, network):
        spec = SpecConfig(type="docker", params={"Image": image})
        return msgspec.structs.replace(task(), engine=spec, network=NetworkConfig(type=network))

    assert await ask(Admission(), container("ghcr.io/acme/tool", "None")) == ""
    assert await ask(Admission(), container("alpine", "Bridge")) == (
        "does not run image alpine (of docker.io/library/alpine): Engines.Types.Docker.AllowedRegistries allows"
        " ghcr.io; does not give network Bridge: Engines.Types.Docker.Networks allows None"
    )
    assert await ask(Admission(), container("No Image", "None")) == (
        "invalid docker engine param: 'Image' must not contain white space: 'No Image'"
    )


async def test_all_probes_are_asked_about_the_job(ask):
    probes = (Says("no"), Says(""), Says("never"))
    assert await ask(Admission(probes=probes), task()) == "no; never"
    assert probes[0].asked[0].startswith(b'{"Job":{"ID":"j-1",')


async def test_where_only_local_inputs_are_taken(ask, tmp_path):
    local = Admission(local_only=True)
    here = [("inline", {"URL": "data:,x"}), ("local", {"SourcePath": str(tmp_path / "data")})]
    assert await ask(local, task(*here)) == ""
    assert await ask(local, task()) == ""
    distant = [
        ("urlDownload", {"URL": "http://127.0.0.1:1/x"}),
        ("local", {"SourcePath": "/etc"}),
        ("ipfs", {"CID": EMPTY_CID}),
    ]
    for source in distant:
        assert (
            await ask(local, task(*here, source))
            == f"accepts only inputs that it has already, which {source[0]} is not"
        )
        assert await ask(Admission(), task(*here, source)) == ""


async def test_content_that_was_published_here_is_local(ask, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "f").write_text("x")
    publisher = IpfsPublisher(BlockStore(tmp_path / "blocks"))
    spec = await publisher.publish(Result(tmp_path / "tree", SpecConfig(type="ipfs"), "j", "e", "n", 0), ignore)
    assert await ask(Admission(local_only=True), task(("ipfs", spec.params))) == ""
