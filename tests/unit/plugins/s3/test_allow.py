"""The buckets that jobs may use: rules of the administrator, asked when a node is offered an execution and when it
begins.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.execution.runner import run_execution
from bacalhau.compute.messages.admission import find_refusal
from bacalhau.compute.state.capacity import Capacity
from bacalhau.config.plugins import InputSources, Publishers, PublisherTypes, S3Inputs, S3Results, SourceTypes
from bacalhau.config.schema import Config
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.seed.reading import job_from_seed
from bacalhau.models.seed.seed import SeedJob, SeedS3, SeedSpec, SeedStorage
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.plugins.objects.rules import read_rules
from bacalhau.plugins.s3 import publisher, sign, source
from bacalhau.ports.plugin import Setting
from bacalhau.ports.publisher import Published

INPUTS, RESULTS = "InputSources.Types.S3.AllowedBuckets", "Publishers.Types.S3.AllowedBuckets"
NOWHERE = "http://127.0.0.1:1"  # nobody listens there: who asks it fails otherwise


def config(inputs=(), results=()):
    return Config(
        input_sources=InputSources(types=SourceTypes(s3=S3Inputs(allowed_buckets=inputs))),
        publishers=Publishers(types=PublisherTypes(s3=S3Results(allowed_buckets=results))),
    )


class Silent:
    """A NodeBus that nobody listens to."""

    async def tell(self, message):
        raise Unavailable("nobody listens")


async def nothing():
    """Nobody gives up."""


@pytest.fixture
async def make_node(tmp_path):
    made = []

    async def make(settings):
        setting = Setting(BlockStore(tmp_path / "blocks"), settings)
        bucket_source, bucket_publisher = source.make_source(setting), publisher.make_publisher(setting)
        made.extend((bucket_source, bucket_publisher))
        plugins = Plugins({"noop": NoopEngine()}, {"s3": bucket_source}, {"s3": bucket_publisher})
        return ComputeNode("n-1", tmp_path, None, Silent(), plugins, Capacity(Resources(cpu=2.0)), people)

    async with crew() as people:
        yield make
    for each in made:
        await each.close()


def job(namespace="default", read="", write="", **params):
    place = {"Endpoint": NOWHERE, "Region": "r", **params}
    inputs = (InputSource(source=SpecConfig(type="S3", params={"Bucket": read, "Key": "k/", **place}), target="/i"),)
    results = SpecConfig(type=" s3 ", params={"BUCKET": write, "Key": "k", **place}) if write else SpecConfig()
    task = Task(name="main", engine=SpecConfig(type="noop"), input_sources=inputs if read else (), publisher=results)
    return Job(id="j-1", namespace=namespace, type="batch", count=1, tasks=(task,))


def execution(of):
    need = AllocatedResources(tasks={"main": Resources()})
    return Execution(id="e-1", node_id="n-1", job=of, job_id=of.id, allocated_resources=need)


def said(bucket, namespace, key):
    return f"S3 bucket '{bucket}' is not open to jobs of namespace '{namespace}' here, by {key}"


@pytest.mark.parametrize(
    ("rules", "namespace", "bucket", "is_open"),
    [
        ((), "default", "any", True),
        (("data-*",), "default", "data-1", True),
        (("data-*",), "default", "my-data-1", False),
        (("data-*",), "default", "DATA-1", False),
        (("data-?",), "default", "data-12", False),
        (("other", "team-a:team-a-*"), "team-a", "team-a-x", True),
        (("team-a:team-a-*",), "team-b", "team-a-x", False),
        (("team-a:team-a-*",), "", "team-a-x", False),
        (("*:shared",), "", "shared", True),
        (("team-*:*",), "team-a", "x", True),
        (("a:b:c",), "a:b", "c", True),
        ((" data ",), "default", "data", True),
        (("data-*",), "default", "data-1/../secret", False),
        (("data.x",), "default", "data-x", False),
        (("data-*",), "team/nightly run", "data-1", True),
        (("team/*:data-*",), "team/nightly run", "data-1", True),
    ],
)
async def test_a_node_takes_what_its_rules_open(make_node, rules, namespace, bucket, is_open):
    node = await make_node(config(rules))
    reason = await find_refusal(node, execution(job(namespace, read=bucket)))
    assert reason == ("" if is_open else said(bucket, namespace, INPUTS))
    node = await make_node(config(results=rules))
    reason = await find_refusal(node, execution(job(namespace, write=bucket)))
    assert reason == ("" if is_open else said(bucket, namespace, RESULTS))


async def test_shares_and_servers_of_a_job_change_nothing(make_node):
    node = await make_node(config(("open",)))
    for params in ({"Endpoint": ""}, {"Partition": {"Type": "object"}}, {"Filter": "x", "VersionID": ""}):
        assert await find_refusal(node, execution(job(read="shut", **params))) == said("shut", "default", INPUTS)


async def test_what_was_taken_is_asked_about_again_when_it_begins(make_node):
    """An execution that an earlier process of the node has taken, under other rules."""
    node = await make_node(config(("open",), ("open",)))
    for of, text in (
        (job(read="shut"), said("shut", "default", INPUTS)),
        (job(write="shut"), said("shut", "default", RESULTS)),
    ):
        outcome = await run_execution(node, execution(of), Running(nothing))
        assert (outcome.error.message, outcome.error.retryable, outcome.published) == (text, False, None)


async def test_jobs_of_the_older_generation_obey_too(make_node):
    spec = SeedSpec(
        engine="noop",
        publisher_spec=SpecConfig(type="s3", params={"Bucket": "shut", "Key": "k"}),
        inputs=(SeedStorage(storage_source="S3", path="/in", s3=SeedS3(bucket="closed", key="k")),),
    )
    of, _ = job_from_seed(SeedJob(spec=spec))
    node = await make_node(config(("open",), ("open",)))
    reasons = await find_refusal(node, execution(replace(of, namespace="default")))
    assert said("closed", "default", INPUTS) in reasons and said("shut", "default", RESULTS) in reasons


@pytest.mark.parametrize("text", ["", ":x", "team-a:", "a b", "data/*", "s3://data", "a" * 5000])
def test_what_is_no_rule_is_told_with_its_setting(text, tmp_path):
    for make, settings, key in (
        (source.make_source, config((text,)), INPUTS),
        (publisher.make_publisher, config(results=(text,)), RESULTS),
    ):
        with pytest.raises(BadRequest, match=f"^{key}: ") as refused:
            make(Setting(BlockStore(tmp_path / "blocks"), settings))
        assert "team-a:team-a-*" in refused.value.hint
    with pytest.raises(BadRequest, match=f"^{RESULTS}: "):
        sign.make_part(config(results=(text,)))


@given(st.text("ab*?.", min_size=1, max_size=12), st.text("ab-", min_size=1, max_size=12))
def test_stars_and_question_marks_are_all_that_is_special(rule, bucket):
    def fits(pattern, text):
        if not pattern or not text:
            return not text and not pattern.strip("*")
        if pattern[0] == "*":
            return fits(pattern[1:], text) or fits(pattern, text[1:])
        return pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])

    assert (read_rules((rule,), "k").refusal(bucket, "n") == "") == fits(rule, bucket)


@pytest.mark.usefixtures("credentials")
async def test_an_orchestrator_signs_links_to_open_buckets_only():
    part = sign.make_part(config(results=("team-a:open",)))

    async def type_of(bucket, namespace):
        result = SpecConfig(type="s3", params={"Bucket": bucket, "Key": "k.tar.gz", "Endpoint": NOWHERE})
        return (await part.presign(Published(result, SpecConfig(type="s3"), "j-1", "e-1", "n-1", namespace))).type

    assert await type_of("open", "team-a") == "s3PreSigned"
    assert await type_of("open", "team-b") == await type_of("shut", "team-a") == "s3"
