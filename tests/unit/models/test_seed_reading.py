"""A job of the older generation as today's, and drawn again as it was."""

import pytest

from bacalhau.lib.wire import convert_all, encode, fold_keys
from bacalhau.models.seed.reading import job_from_seed, submission_problems
from bacalhau.models.seed.seed import SeedJob, SeedSpec
from bacalhau.models.seed.view import seed_job

ENGINE = {"Type": "docker", "Params": {"Image": "busybox", "Parameters": ["true"]}}


def spec_from(**fields) -> SeedSpec:
    folded, unknown = fold_keys(fields, SeedSpec)
    assert unknown == []
    return convert_all(folded, SeedSpec)


def read(**fields):
    job, problems = job_from_seed(SeedJob(spec=spec_from(**({"EngineSpec": ENGINE} | fields))))
    assert problems == []
    return job


STORAGES = [
    {"StorageSource": "ipfs", "Name": "a", "CID": "QmA", "Path": "/a"},
    {"StorageSource": "urlDownload", "URL": "http://h/f", "Path": "/b"},
    {"StorageSource": "localDirectory", "SourcePath": "/data", "ReadWrite": True, "Path": "/c"},
    {"StorageSource": "inline", "URL": "data:,hello", "Path": "/d"},
    {
        "StorageSource": "s3",
        "S3": {
            "Bucket": "b",
            "Key": "k*",
            "Checksum": "c=",
            "ChecksumSHA256": "c=",
            "VersionID": "v",
            "Endpoint": "http://s3",
            "Region": "eu-west-1",
        },
        "Path": "/e",
    },
]


def test_every_kind_of_input_comes_back_as_it_was():
    drawn = seed_job(read(Inputs=STORAGES), [])["Job"]["Spec"]["Inputs"]
    assert encode(drawn) == encode(STORAGES)


@pytest.mark.parametrize(
    ("written", "kind"),
    [("IPFS", "ipfs"), ("URLDownload", "urlDownload"), ("LOCALDIRECTORY", "local"), ("S3", "s3"), ("Inline", "inline")],
)
def test_names_of_sources_are_read_in_any_case(written, kind):
    (source,) = read(Inputs=[{"storagesource": written}]).task.input_sources
    assert (source.source.type, source.target) == (kind, "/inputs")


def test_the_parts_of_a_job():
    job = read(
        Deal={"Concurrency": 3},
        Annotations=["one", "two"],
        NodeSelectors=[{"Key": "zone", "Operator": "in", "Values": ["a", "b"]}],
        Resources={"CPU": "0.5", "Memory": "1Gb", "Disk": "2kb", "GPU": "1"},
        Network={"Type": "HTTP", "Domains": ["example.org"]},
        Timeout=60,
        Outputs=[{"Name": "more", "Path": "/more"}],
        PublisherSpec={"Type": "S3", "Params": {"bucket": "b", "key": "k"}},
    )
    task = job.task
    assert (job.type, job.count, job.labels, task.name) == ("batch", 3, {"one": "", "two": ""}, "main")
    assert (task.resources.cpu, task.resources.memory, task.resources.disk, task.resources.gpu) == (
        "0.5",
        str(1024**3),
        "2048",
        "1",
    )
    assert (task.network.type, task.network.domains, task.timeouts.execution_timeout) == ("HTTP", ("example.org",), 60)
    assert [(r.name, r.path) for r in task.result_paths] == [("more", "/more"), ("outputs", "/outputs")]
    assert (task.publisher.type, task.publisher.params) == ("s3", {"bucket": "b", "key": "k"})
    drawn = seed_job(job, [])["Job"]["Spec"]
    assert (drawn["Deal"], list(drawn["Annotations"])) == ({"Concurrency": 3}, ["one", "two"])
    assert drawn["NodeSelectors"][0] == {"Key": "zone", "Operator": "in", "Values": ("a", "b")}


@pytest.mark.parametrize(("written", "seconds"), [(60, 60), (1800.0, 1800), (0.2, 1), (0, 0)])
def test_limits_of_time(written, seconds):
    assert read(Timeout=written).task.timeouts.execution_timeout == seconds


def test_all_nodes_is_a_job_of_type_ops():
    job = read(Deal={"TargetingMode": True})
    assert (job.type, job.count) == ("ops", 0)
    assert seed_job(job, [])["Job"]["Spec"]["Deal"] == {"TargetingMode": True}


def test_the_older_spelling_of_wasm():
    modules = [
        {"StorageSource": "ipfs", "CID": "QmImport"},
        {"StorageSource": "urlDownload", "URL": "http://h/m", "Path": "/mine.wasm"},
    ]
    wasm = {
        "EntryModule": {"StorageSource": "ipfs", "CID": "QmEntry"},
        "EntryPoint": "run",
        "Parameters": ["x"],
        "EnvironmentVariables": {"A": "1"},
        "ImportModules": modules,
    }
    task = read(EngineSpec={}, Engine="Wasm", Wasm=wasm, Inputs=STORAGES[:1]).task
    assert task.engine.params == {
        "EntryModule": "/wasm/entry.wasm",
        "Entrypoint": "run",
        "Parameters": ["x"],
        "ImportModules": ["/wasm/imports/module_0.wasm", "/mine.wasm"],
    }
    assert [source.target for source in task.input_sources] == [
        "/wasm/entry.wasm",
        "/wasm/imports/module_0.wasm",
        "/mine.wasm",
        "/a",
    ]
    assert task.env == {"A": "1"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "job spec is empty"),
        ({"EngineSpec": ENGINE}, "concurrency must be >= 1"),
        (
            {"EngineSpec": ENGINE, "Deal": {"TargetingMode": True, "Concurrency": 2}},
            "concurrency ignored for target all mode, must be == 0",
        ),
        ({"EngineSpec": ENGINE, "Deal": {"Concurrency": 1}, "Publisher": "tape"}, "invalid publisher type: tape"),
        ({"EngineSpec": ENGINE, "Deal": {"Concurrency": 1}, "Timeout": -1}, "field 'Spec.Timeout' must be >= 0"),
        ({"EngineSpec": ENGINE, "Deal": {"Concurrency": 1}, "Timeout": 1e300}, "field 'Spec.Timeout' must be >= 0"),
    ],
)
def test_what_the_older_server_refused(fields, text):
    (problem,) = submission_problems(spec_from(**fields), ("ipfs", "noop"))
    assert problem.startswith(text)


@pytest.mark.parametrize(
    "deal", [{"Concurrency": 1}, {"TargetingMode": True}, {"TargetingMode": True, "Concurrency": 1}]
)
def test_what_it_took(deal):
    assert (
        submission_problems(spec_from(EngineSpec=ENGINE, Deal=deal, PublisherSpec={"Type": "IPFS"}), ("ipfs", "noop"))
        == []
    )


@pytest.mark.parametrize("seconds", [float("inf"), float("-inf"), float("nan")])
def test_a_timeout_that_is_no_number_of_seconds_is_named(seconds):
    _, problems = job_from_seed(SeedJob(spec=spec_from(EngineSpec=ENGINE, Timeout=seconds)))
    assert problems == [f"field 'Spec.Timeout': {seconds} is no number of seconds"]
