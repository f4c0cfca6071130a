"""A job on its way into the store: spelling, defaults, warnings, and every problem by name."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bacalhau.lib.units import parse_duration, show_duration
from bacalhau.lib.wire import decode, encode
from bacalhau.models.job.job import InputSource, Job, JobState, LabelSelectorRequirement, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.job.task_problems import env_problem, network_problems
from bacalhau.models.job.validate import (
    MAX_COUNT,
    JobDefault,
    fill_defaults,
    normalized,
    same_spec,
    sanitized,
    validate_job,
)

ENGINES = {"docker": lambda spec: [] if spec.params else ["image cannot be empty"], "noop": lambda spec: []}
SOURCES = {"s3": lambda spec: [], "ipfs": lambda spec: []}
PUBLISHERS = {
    "s3": lambda spec: [] if spec.params else ["invalid s3 params. bucket cannot be empty"],
    "ipfs": lambda spec: [],
}

DOCKER = SpecConfig(type="docker", params={"Image": "alpine"})
IPFS = SpecConfig(type="ipfs")
TASK = Task(name="main", engine=DOCKER)


def job_with(**task):
    return Job(name="x", type="batch", tasks=(replace(TASK, **task),))


def ready(job):
    return fill_defaults(sanitized(normalized(job))[0], {})


def problems(job, **more):
    return validate_job(ready(job), ENGINES, SOURCES, PUBLISHERS, **more)


def test_a_small_job_becomes_whole():
    raw = (
        b'{"Type":" Batch ","Tasks":[{"Name":"main","Engine":{"Type":"docker'
        b' ","Params":{"Image":"a"}},"Publisher":null,"Resources":null,"Network":null}]}'
    )
    job = ready(decode(raw, Job))
    assert (job.type, job.count, job.namespace, job.constraints, job.meta, job.labels) == (
        "batch",
        1,
        "default",
        (),
        {},
        {},
    )
    assert (
        encode(job.task) == b'{"Name":"main","Engine":{"Type":"docker","Params":{"Image":"a"}},"Publisher":{"Type":""},'
        b'"Resources":{"CPU":"500m","Memory":"512mb"},"Network":{"Type":"Default"},"Timeouts":{}}'
    )


@pytest.mark.parametrize(
    ("kind", "count", "found"),
    [("batch", None, 1), ("service", None, 1), ("batch", 0, 0), ("ops", None, 0), ("daemon", 1, 0), ("ops", 2, 2)],
)
def test_counts(kind, count, found):
    assert normalized(Job(type=kind, count=count)).count == found


def test_spelling():
    task = replace(
        TASK,
        resources=ResourcesConfig(cpu=" 500M", memory="1 Gb"),
        network=NetworkConfig(type="hTTP", domains=(" A.Example.org",)),
        env={},
    )
    found = normalized(Job(type="batch", tasks=(task,))).task
    assert (found.resources.cpu, found.resources.memory) == ("500m", "1gb")
    assert (found.network.type, found.network.domains, found.env) == ("HTTP", ("a.example.org",), None)


@given(
    st.builds(
        Job, name=st.text(max_size=5), type=st.sampled_from(["batch", "OPS", ""]), count=st.none() | st.integers(-1, 3)
    )
)
def test_spelling_twice_changes_nothing(job):
    once = normalized(job)
    assert normalized(once) == once


def test_what_is_the_servers_is_taken_away_with_warnings():
    job = Job(
        id="j-1",
        type="batch",
        state=JobState(state_type=JobStateType.RUNNING),
        revision=2,
        version=3,
        create_time=4,
        modify_time=5,
        tasks=(TASK, TASK),
        meta={"bacalhau.org/requester.id": "n", "mine": "m"},
    )
    clean, warnings = sanitized(normalized(job))
    assert warnings == [
        "job state is ignored when submitting a job",
        "job revision is ignored when submitting a job",
        "job version is ignored when submitting a job",
        "job create time is ignored when submitting a job",
        "job modify time is ignored when submitting a job",
        "job ID is ignored when submitting a batch job",
        "only one task is supported per job",
        'job meta key "bacalhau.org/requester.id" is reserved and will be ignored',
    ]
    assert clean == normalized(Job(type="batch", tasks=(TASK,), meta={"mine": "m"}))


def test_a_clean_job_gets_no_warning():
    job = normalized(job_with())
    assert sanitized(job) == (job, [])


def test_defaults_by_type():
    default = JobDefault(3, ResourcesConfig(cpu="2", memory="1Gb", disk="5Gb"), IPFS, Timeouts(execution_timeout=60))
    job = fill_defaults(normalized(job_with(resources=ResourcesConfig(cpu="1"))), {"batch": default})
    assert job.priority == 3
    assert job.task.resources == ResourcesConfig(cpu="1", memory="1gb", disk="5gb")
    assert (job.task.publisher, job.task.timeouts.execution_timeout) == (IPFS, 60)


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (Job(), ["missing job type", "missing job tasks"]),
        (Job(type="nope"), ['invalid job type: "nope" (use one of batch, ops, service, daemon)', "missing job tasks"]),
        (Job(type="service", tasks=(TASK,)), []),
        (Job(type="batch", count=-1, tasks=(TASK,)), ["job count must be >= 0, not -1"]),
        (
            Job(type="batch", count=MAX_COUNT + 1, tasks=(TASK,)),
            ["job count must be <= 100000, not 100001: submit several jobs"],
        ),
        (
            Job(type="batch", priority=2**63, tasks=(TASK,)),
            ["job priority must be a whole number of 64 bits, not 9223372036854775808"],
        ),
        (
            Job(type="batch", namespace="a\x00", tasks=(TASK,)),
            ["job namespace 'a\\x00' has control characters: leave them out"],
        ),
        (Job(type="batch", name="a\x00", tasks=(TASK,)), ["job name 'a\\x00' has control characters: leave them out"]),
        (
            Job(type="batch", tasks=(TASK,), constraints=(LabelSelectorRequirement(key="a", operator="in"),)),
            ["constraint 1 validation failed: selector values cannot be empty for In or NotIn operators"],
        ),
        (job_with(), []),
        (job_with(publisher=IPFS, result_paths=(ResultPath(name="outputs", path="/outputs"),)), []),
    ],
)
def test_jobs(job, found):
    assert problems(job) == found


def test_ops_jobs_have_no_count():
    job = Job(type="ops", count=2, tasks=(TASK,))
    assert problems(job) == ["ops jobs cannot specify count > 1 as they run on all matching nodes"]


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ({"name": ""}, "missing task name"),
        ({"engine": SpecConfig()}, "invalid engine: missing spec type"),
        (
            {"engine": SpecConfig(type="flibble")},
            "invalid engine: unknown engine type 'flibble': this system knows docker, noop",
        ),
        ({"engine": SpecConfig(type="Docker")}, "invalid engine: image cannot be empty"),
        (
            {"publisher": SpecConfig(type="s3", params={})},
            "invalid publisher: invalid s3 params. bucket cannot be empty",
        ),
        (
            {"publisher": SpecConfig(type="s3managed")},
            "invalid publisher: unknown publisher type 's3managed': this system knows ipfs, s3",
        ),
        ({"result_paths": (ResultPath(name="o", path="/o"),)}, "publisher must be set if result paths are set"),
        ({"name": "a\x00"}, "field 'Name' cannot contain null characters"),
        ({"env": {"A": "\x00"}}, "field 'Env.A' cannot contain null characters"),
        (
            {"engine": SpecConfig(type="docker", params={"Parameters": ["a", "\x00"]})},
            "field 'Engine.Params.Parameters[1]' cannot contain null characters",
        ),
        (
            {"timeouts": Timeouts(queue_timeout=2**63)},
            "invalid timeouts: invalid queue timeout value: 2562047788015215h30m8s",
        ),
        ({"timeouts": Timeouts(execution_timeout=-90)}, "invalid timeouts: invalid execution timeout value: -1m30s"),
        (
            {"timeouts": Timeouts(execution_timeout=60, queue_timeout=30, total_timeout=70)},
            (
                "task timeouts validation failed: execution timeout 1m0s and queue timeout 30s should be less than"
                " total timeout 1m10s"
            ),
        ),
        ({"resources": ResourcesConfig(cpu="abc")}, "invalid resources: invalid CPU value: abc"),
        ({"resources": ResourcesConfig(gpu="-1")}, "invalid resources: invalid GPU value: -1"),
        ({"resources": ResourcesConfig(gpu="9" * 30)}, f"invalid resources: invalid GPU value: {'9' * 30}"),
        ({"env": {"lower": "x"}}, "environment variable 'lower' must be uppercase"),
        (
            {"network": NetworkConfig(type="zzz")},
            "invalid network: unknown network type 'zzz': use one of Default, None, Host, Full, HTTP, Bridge",
        ),
    ],
)
def test_tasks(task, found):
    assert [p.partition(" validation failed: ")[2] for p in problems(job_with(**task))] == [found]


def source(target="/in", alias="", kind="s3"):
    return InputSource(source=SpecConfig(type=kind), alias=alias, target=target)


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ((source(target=""),), "invalid input sources: input source is missing a target"),
        (
            (source(target="data"),),
            "invalid input sources: input source target 'data' must be an absolute path below /",
        ),
        (
            (source(target="/a/.."),),
            "invalid input sources: input source target '/a/..' must be an absolute path below /",
        ),
        ((source(kind=""),), "invalid input sources: invalid input source: missing spec type"),
        (
            (source(kind="ftp"),),
            "invalid input sources: invalid input source: unknown source type 'ftp': this system knows ipfs, s3",
        ),
        (
            (source(), source("/in/")),
            "input source with target '/in' already exists: give each input a target of its own, such as '/in/1'",
        ),
        ((source("/a", "x"), source("/b", "x")), "input source with alias 'x' already exists"),
        ((source("/a"), source("/b")), None),
    ],
)
def test_inputs(inputs, found):
    texts = problems(job_with(input_sources=inputs))
    assert texts == ([f"task main validation failed: {found}"] if found else [])


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ((ResultPath(name="", path="/o"),), "invalid output: missing name"),
        ((ResultPath(name="o", path=""),), "invalid output: missing path"),
        ((ResultPath(name="o", path="o"),), "invalid output: result path `o` must be absolute and below /"),
        (
            (ResultPath(name="../o", path="/o"),),
            "invalid output: name '../o' must be a plain folder name other than stdout, stderr and exitCode",
        ),
        (
            (ResultPath(name="stdout", path="/o"),),
            "invalid output: name 'stdout' must be a plain folder name other than stdout, stderr and exitCode",
        ),
        (
            (ResultPath(name="o", path="/o"), ResultPath(name="o", path="/p")),
            "result path with name 'o' already exists",
        ),
        ((ResultPath(name="o", path="/o"), ResultPath(name="p", path="/o")), "result path '/o' already exists"),
    ],
)
def test_results(results, found):
    assert problems(job_with(publisher=IPFS, result_paths=results)) == [f"task main validation failed: {found}"]


def test_an_input_and_a_result_have_places_of_their_own_but_may_lie_below_one_another():
    def found(target, path):
        source = InputSource(source=IPFS, target=target)
        result = ResultPath(name="outputs", path=path)
        return problems(job_with(input_sources=(source,), result_paths=(result,), publisher=SpecConfig(type="ipfs")))

    (problem,) = found("//data/", "/data/x/..")
    assert "input source target '/data' is also result path 'outputs': choose another target" in problem
    assert found("/data", "/data/out") == found("/data/in", "/data") == []


def test_all_problems_at_once():
    job = Job(type="nope", count=-1, tasks=(Task(resources=ResourcesConfig(cpu="x", memory="y")),))
    assert len(problems(job)) == 6


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("", "x", "environment variable name cannot be empty"),
        ("a", "x", "environment variable 'a' must be uppercase"),
        ("1A", "x", "environment variable '1A' must start with a letter"),
        ("A-B", "x", "environment variable 'A-B' can only contain letters, numbers, and underscores"),
        ("BACALHAU_X", "x", "environment variable 'BACALHAU_X' cannot start with BACALHAU_"),
        ("A", "", "environment variable 'A' cannot have empty value"),
        ("A", "env:HOME", ""),
        ("A", "env:", "environment variable 'A' asks for a variable of the node without naming it: write env:NAME"),
        ("A_1", "x", ""),
    ],
)
def test_environment(name, value, found):
    assert env_problem(name, value) == found


def network(kind, *ports, domains=()):
    return list(network_problems(NetworkConfig(type=kind, domains=domains, ports=ports)))


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (network("HTTP", domains=("example.org", ".sub.example.org", "10.0.0.1", "::1")), []),
        (network("HTTP"), ["network type HTTP needs domains: name those that the task may reach"]),
        (network("HTTP", domains=("a_b",)), ['invalid domain "a_b"']),
        (network("HTTP", domains=("x y.com",)), ['invalid domain "x y.com"']),
        (network("None", domains=("example.org",)), ["domains can only be set for HTTP network mode"]),
        (network("Bridge", PortMapping(name="http", static=8080, target=80)), []),
        (network("Default", PortMapping(name="http")), ["ports can only be set for Host or Bridge network modes"]),
        (network("Host", PortMapping(name="")), ["port mapping name is required"]),
        (network("Host", PortMapping(name="a-b")), ["port name must be a valid environment variable name: 'a-b'"]),
        (network("Host", PortMapping(name="a", static=80)), ["static port 80 is in privileged port range (1-1023)"]),
        (network("Host", PortMapping(name="a", static=70000)), ["static port 70000 is not between 1024 and 65535"]),
        (network("Full", PortMapping(name="a", target=80)), ["target ports cannot be set for Host network mode"]),
        (network("Bridge", PortMapping(name="a", target=-1)), ["invalid target port -1"]),
        (network("Bridge", PortMapping(name="a", host_network="h")), ["invalid host network IP address: h"]),
        (
            network(
                "Bridge", PortMapping(name="a", static=8080, target=80), PortMapping(name="a", static=8080, target=80)
            ),
            ["duplicate port mapping name: a", "duplicate static port: 8080", "duplicate target port: 80"],
        ),
    ],
)
def test_networks(found, problem):
    assert found == problem


def test_the_same_spec():
    job = ready(job_with(resources=ResourcesConfig(memory="512mb")))
    stored = replace(
        job,
        id="j-1",
        version=2,
        revision=7,
        create_time=1,
        state=JobState(state_type=JobStateType.COMPLETED),
        meta={"bacalhau.org/requester.id": "n"},
    )
    assert same_spec(
        stored, replace(job, tasks=(replace(job.task, resources=ResourcesConfig(cpu="500M", memory="512MB")),))
    )
    assert not same_spec(stored, replace(job, priority=1))
    assert not same_spec(stored, replace(job, labels={"a": "b"}))


def test_checking_a_job_takes_microseconds():
    job = ready(
        job_with(
            env={"A": "b"},
            publisher=IPFS,
            input_sources=(source("/a"), source("/b")),
            result_paths=(ResultPath(name="outputs", path="/outputs"),),
        )
    )
    started = time.perf_counter()
    for _ in range(300):
        assert validate_job(job, ENGINES, SOURCES, PUBLISHERS) == []
    assert (time.perf_counter() - started) / 300 < 1e-3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (-90, "-1m30s"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (2e-6, "2µs"),
        (5e-9, "5ns"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_durations(seconds, text):
    assert show_duration(seconds) == text


@given(st.integers(0, 10**7))
def test_durations_read_back(millis):
    assert parse_duration(show_duration(millis / 1000)) == pytest.approx(millis / 1000)
