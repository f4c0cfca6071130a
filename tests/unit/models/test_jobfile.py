"""Job files of both generations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import InputSource, Job, LabelSelectorRequirement, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.models.job.validate import normalized
from bacalhau.models.seed.view import seed_dry_run, seed_job
from bacalhau.models.text.jobfile import read_job_text
from bacalhau.plugins.docker.params import DockerParams
from bacalhau.plugins.local.params import LocalParams, check_source
from bacalhau.plugins.s3.params import check_publisher

TODAY = """
Name: hello
Type: batch
Count: 2
Labels: {version: 1.5}
Tasks:
  - Name: main
    Engine: {Type: docker, Params: {Image: alpine, Parameters: [echo, 2024-01-01], retries: 3}}
    Env: {DAY: 2024-01-01, N: 3}
    Resources: {CPU: 0.5}
    Timeouts:
"""


def test_todays_form():
    job, warnings = read_job_text(TODAY, strict=True)
    assert warnings == []
    assert (job.name, job.count, job.labels) == ("hello", 2, {"version": "1.5"})
    assert job.task.env == {"DAY": "2024-01-01", "N": "3"}
    assert job.task.engine.params == {"Image": "alpine", "Parameters": ["echo", "2024-01-01"], "retries": 3}
    assert job.task.resources == ResourcesConfig(cpu="0.5")


@pytest.mark.parametrize(
    "text",
    [
        (
            '{"NAME": "hello", "type": "batch", "tasks": [{"name": "main", "engine": {"type": "docker", "params":'
            ' {"image": "a"}}}]}'
        ),
        (
            "Job: {Name: hello, Type: batch, Tasks: [{Name: main, Engine: {Type: docker, Params: {image:"
            " a}}}]}\nHistory: {}\nExecutions: {}"
        ),
        (
            "name: hello\ntype: batch\ntasks: [{name: main, engine: {type: docker, params: {image: a}},"
            " ResourcesConfig: {}}]"
        ),
        "{name: hello, type: batch, tasks: [{name: main, engine: {type: docker, params: {image: a}}}]}",
    ],
)
def test_any_case_any_wrapping(text):
    engine = SpecConfig(type="docker", params={"image": "a"})
    assert read_job_text(text, strict=True)[0] == Job(
        name="hello", type="batch", tasks=(Task(name="main", engine=engine),)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no content provided"),
        ("- a", "a job file must hold one job, found a list"),
        ("null", "a job file must hold one job, found nothing"),
        ("yes: no", "unknown field: 'yes' in 'Job'"),
        ("a.b.c: 1", "unknown field: 'c' in 'Job.a.b'"),
        ("[a]: 1", "broken YAML at line 1, column 1: a key must be a text"),
        ("Name: [\n", "broken YAML at line 2, column 1: did not find expected node content"),
        ("Name: x\n Type: b", "broken YAML at line 2, column 6: mapping values are not allowed in this context"),
        ("Namee: x", "unknown field: 'Namee' in 'Job' (did you mean 'Name'?)"),
        ("Xyz: 1", "unknown field: 'Xyz' in 'Job'"),
        ("ID: j-1", "field: 'ID' in 'Job' is not allowed"),
        ("Count: abc", "field 'Count': expected `int | null`, got `str` (value: 'abc')"),
        ("Tasks: 3", "field 'Tasks': expected `array | null`, got `int` (value: 3)"),
        ("Tasks: [3]", "field 'Tasks[0]': expected `object`, got `int` (value: 3)"),
        ("Job: &a {Tasks: [*a]}", "the file is nested too deeply: more than 100 levels"),
        ('{"Labels": {"a": ' + "[" * 200 + "]" * 200 + "}}", "the file is nested too deeply: more than 100 levels"),
        ("Job: {Name: x}\nFoo: 1", "unknown field: 'Foo' in 'file'"),
        (
            "Name: \x01",
            (
                'broken YAML: unacceptable character #x0001: control characters are not allowed in "<unicode string>",'
                " position 6"
            ),
        ),
        ("Spec: 3", "field 'Spec': expected `object`, got `int` (value: 3)"),
        ("Spec: {}", "field 'Spec.EngineSpec' is missing: write EngineSpec: {Type: docker, Params: {Image: ...}}"),
        (
            "Spec: {EngineSpec: {Params: {a: 1}}}",
            "field 'Spec.EngineSpec.Type' is missing: name an engine such as docker",
        ),
        (
            "Spec: {Engine: Wasm}",
            (
                "field 'Spec.Wasm.EntryModule.StorageSource': invalid input volume type: '' (expected s3, ipfs,"
                " urlDownload, localDirectory or inline)"
            ),
        ),
        (
            "Spec: {Engine: Docker, Docker: {Image: a}, Inputs: [{Repo: r}]}",
            (
                "field 'Spec.Inputs[0].StorageSource': invalid input volume type: '' (expected s3, ipfs, urlDownload,"
                " localDirectory or inline)"
            ),
        ),
        (
            "Spec: {Docker: {Image: a}, Resources: {Disk: 1.5gb}}",
            (
                "field 'Spec.Resources.Disk': invalid disk value: 1.5gb (expected a whole number with a unit, such as"
                " 512Mb)"
            ),
        ),
    ],
)
def test_faults(text, message):
    with pytest.raises(BadRequest) as caught:
        read_job_text(text, strict=True)
    assert caught.value.message == message


def test_every_fault_at_once():
    with pytest.raises(BadRequest) as caught:
        read_job_text("Namee: x\nCount: abc\nState: {}\nTasks: [{Name: [], Nope: 1}]", strict=True)
    assert caught.value.message.splitlines() == [
        "field: 'State' in 'Job' is not allowed",
        "unknown field: 'Namee' in 'Job' (did you mean 'Name'?)",
        "unknown field: 'Nope' in 'Job.Tasks[0]'",
        "field 'Count': expected `int | null`, got `str` (value: 'abc')",
        "field 'Tasks[0].Name': expected `str`, got `array` (value: [])",
    ]


def test_a_refused_file_is_refused_with_what_is_wrong_with_the_rest_of_it():
    def check(job: Job) -> list[str]:
        return [f"{job.name} of type {job.type}", "task main validation failed: invalid engine: missing spec type"]

    with pytest.raises(BadRequest) as caught:
        read_job_text("Name: x\nType: bad\nNope: 1", strict=True, check=check)
    assert caught.value.message.splitlines() == [
        "unknown field: 'Nope' in 'Job'",
        "x of type bad",
        "task main validation failed: invalid engine: missing spec type",
    ]
    with pytest.raises(BadRequest) as caught:
        read_job_text("Name: x\nType: bad\nTasks: [{Engine: docker}]", strict=True, check=check)
    assert caught.value.message.splitlines() == [
        "field 'Tasks[0].Engine': expected `object`, got `str` (value: 'docker')",
        "x of type bad",
    ]
    with pytest.raises(BadRequest) as caught:
        read_job_text("Spec: {Nope: 1}", strict=True, check=check)
    assert caught.value.message.splitlines()[1:] == [
        "field 'Spec.EngineSpec' is missing: write EngineSpec: {Type: docker, Params: {Image: ...}}",
        " of type batch",
    ]
    assert read_job_text("Name: x", strict=True, check=check)[0] == Job(name="x")


def test_the_older_forms_faults_at_once():
    with pytest.raises(BadRequest) as caught:
        read_job_text(
            "Spec: {Docker: {Image: a}, Verifier: Noop, Resources: {Memory: x}, Inputs: [{Repo: r}]}", strict=True
        )
    assert len(caught.value.message.splitlines()) == 3


def test_lenient_reading_warns():
    job, warnings = read_job_text("ID: j-1\nNamee: x\nType: batch", strict=False)
    assert (job.id, job.type) == ("j-1", "batch")
    assert warnings == ["unknown field: 'Namee' in 'Job' (did you mean 'Name'?), ignored"]


def notes_of(text: str) -> list[str]:
    return read_job_text(text, strict=True)[1]


def test_fields_deep_in_a_job_that_nobody_knows_are_told_and_ignored():
    text = "Name: x\nTasks: [{Engin: {}, Env: {a: b}, InputSources: [{Source: {Typ: s3}, nope.x: 1}]}]"
    assert notes_of(text) == [
        "unknown field: 'Engin' in 'Job.Tasks[0]' (did you mean 'Engine'?), ignored",
        "unknown field: 'Typ' in 'Job.Tasks[0].InputSources[0].Source' (did you mean 'Type'?), ignored",
        "unknown field: 'x' in 'Job.Tasks[0].InputSources[0].nope', ignored",
    ]


@pytest.mark.parametrize(
    "field",
    ["Verifier: Noop", "Sharding: {BatchSize: 1, GlobPattern: ''}", "Contexts: []", "JobPlan: {}", "Language: {}"],
)
def test_fields_of_earlier_generations_are_told_and_ignored(field):
    """As in public files with APIVersion V1beta1."""
    text = f"APIVersion: V1beta1\nMetadata: {{Old: 1}}\nSpec: {{Docker: {{Image: a}}, {field}}}\nStatus: {{}}"
    name = field.partition(":")[0]
    assert notes_of(text) == [
        "unknown field: 'Old' in 'Job.Metadata', ignored",
        f"unknown field: '{name}' in 'Job.Spec', ignored",
        "unknown field: 'Status' in 'Job', ignored",
    ]


PLAIN = ["0644", "1.10", "1e3", "0x1F", "0o17", "22:22", "yes", "no", "on", "off", "=", "2024-01-01", "1_000", "+3"]
PLAIN += ["~", "true", "True", "5", "0.5", ".inf", "12345678901234567890123", "5.", "-0", "null", "3.0", "1:30:00"]


@pytest.mark.parametrize("written", PLAIN)
def test_text_is_as_it_was_written(written):
    """Also in parameters, which are JSON until an engine reads them."""
    text = f"Name: {written}\nLabels: {{a: {written}}}\nConstraints: [{{Key: k, Operator: {written}}}]\nTasks: [{{"
    text += (
        f"Env: {{MODE: {written}}}, Engine: {{Type: docker, Params: {{Image: a, Parameters: [echo, {written}]}}}}}}]"
    )
    job, notes = read_job_text(text, strict=True)
    params = require_params(decode(encode(job.task.engine), SpecConfig), DockerParams)
    assert (params.parameters, notes) == (("echo", written), [])
    if written not in ("~", "null"):
        assert (job.name, job.constraints[0].operator) == (written, written)
    if written != "null":
        assert (job.labels, job.task.env) == ({"a": written}, {"MODE": written})


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(2**70), 2**70) | st.booleans(), max_size=5))
def test_numbers_of_json_are_as_they_were_written_too(values):
    text = '{"Tasks": [{"Engine": {"Params": {"Parameters": ' + json.dumps(values) + "}}}]}"
    engine = read_job_text(text.replace("Infinity", "1e999"), strict=True)[0].task.engine
    params = require_params(decode(encode(engine), SpecConfig), DockerParams)
    assert params.parameters == tuple(json.dumps(value).replace("Infinity", "1e999") for value in values)


def test_numbers_and_truth_values_are_what_they_mean_where_those_belong():
    spec = "Spec: {Docker: {Image: a}, DoNotTrack: yes, Deal: {TargetingMode: on}, Timeout: 010}"
    assert read_job_text(spec, strict=True)[0].task.timeouts == Timeouts(execution_timeout=10)
    job, _ = read_job_text("Count: 0x1F\nPriority: 010\nTasks: [{Publisher: ~, Env: {A: null, B: }}]", strict=True)
    assert (job.count, job.priority, job.task.env, job.task.publisher) == (31, 10, {}, Task().publisher)
    with pytest.raises(BadRequest, match="field 'Count': expected"):
        read_job_text("Count: 1_0", strict=True)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("Name: a\nName: b", "key 'Name' is given twice (line 2, column 1): the last one counts"),
        ('{"Name": "a", "Name": "b"}', "key 'Name' is given twice: the last one counts"),
        (
            "Name: b\n---\nName: a",
            "the file holds more than one document: the one that begins at line 2 is ignored",
        ),
        ("Name: b\n...\n%% [", "the file holds more than one document: the one that begins at line 3 is ignored"),
    ],
)
def test_what_stands_there_twice(text, note):
    job, notes = read_job_text(text, strict=True)
    assert (job.name, notes) == ("b", [note])


@pytest.mark.parametrize("word", ["yes", "On", "TRUE", "true", "'true'"])
def test_truth_values_of_parameters_in_the_words_of_either_yaml(word):
    text = f"Tasks: [{{Publisher: {{Type: s3, Params: {{Compress: {word}}}}}, InputSources: [{{Source: {{Type: local,"
    text += f" Params: {{SourcePath: /a, ReadWrite: {word}}}}}}}]}}]"
    task = read_job_text(text, strict=True)[0].task
    [source] = task.input_sources
    assert (check_source(source.source), require_params(source.source, LocalParams).write) == ([], True)
    assert not any("compress" in problem for problem in check_publisher(task.publisher))


def test_merged_keys_are_not_given_twice():
    text = "Tasks: [{Env: &e {A: '1', B: '2'}}, {Env: &f {<<: *e, B: '3'}}, {Env: {<<: [*f, *e], B: '4'}}]"
    job, notes = read_job_text(text, strict=True)
    assert ([task.env for task in job.tasks], notes) == (
        [{"A": "1", "B": "2"}, {"A": "1", "B": "3"}, {"A": "1", "B": "4"}],
        [],
    )


TUTORIAL = """
APIVersion: V1beta2
Spec:
  EngineSpec: {Type: docker, Params: {Image: alpine, Entrypoint: [echo, fromyaml]}}
  PublisherSpec:
    Type: S3
    Params: {Bucket: results, Key: 'yaml/{jobID}', Endpoint: 'http://127.0.0.1:8333', Region: us-east-1}
  Deal: {Concurrency: 1}
"""


def test_the_tutorials_file():
    job, warnings = read_job_text(TUTORIAL, strict=True)
    params = {"Bucket": "results", "Key": "yaml/{jobID}", "Endpoint": "http://127.0.0.1:8333", "Region": "us-east-1"}
    task = Task(
        name="main",
        engine=SpecConfig(type="docker", params={"Image": "alpine", "Entrypoint": ["echo", "fromyaml"]}),
        publisher=SpecConfig(type="s3", params=params),
        result_paths=(ResultPath(name="outputs", path="/outputs"),),
        network=NetworkConfig(type="None"),
    )
    assert (job, warnings) == (Job(type="batch", count=1, tasks=(task,)), [])


OLDER = """
apiversion: V1beta1
Metadata: {ID: 47805f5c, CreatedAt: 2023-10-02T12:00:01Z, ClientID: ab, Requester: {RequesterNodeID: n-1}}
Spec:
  Engine: Docker
  Publisher: Estuary
  Docker: {Image: 'a:1', Parameters: [sh, -c, ls], EnvironmentVariables: [a=b]}
  Resources: {CPU: 500m, Memory: 512Mb, Disk: 1 Gi, GPU: ''}
  Network: {Type: http, Domains: [example.org]}
  Timeout: 1800
  inputs:
    - {StorageSource: S3, Name: s3://b/k, S3: {Bucket: b, Key: k, Checksum: c=, VersionID: v}, Path: /in}
    - {StorageSource: URLDownload, URL: 'https://h/f'}
    - {CID: Qm, Path: /c}
    - {StorageSource: localDirectory, SourcePath: /d, ReadWrite: true, Path: /d}
  Outputs: [{StorageSource: IPFS, Name: logs, Path: /var/log}]
  Annotations: [a, b]
  NodeSelectors: [{Key: zone, Operator: in, Values: [eu]}]
  Deal: {Concurrency: 3}
"""


def test_all_of_the_older_form():
    job, warnings = read_job_text(OLDER, strict=True)
    assert warnings == [
        (
            "The following fields have data in them and will be ignored on creation: ClientID, CreatedAt, ID,"
            " RequesterNodeID"
        ),
    ]
    s3 = {
        "Bucket": "b",
        "Key": "k",
        "Filter": "",
        "Region": "",
        "Endpoint": "",
        "VersionID": "v",
        "ChecksumSHA256": "c=",
    }
    task = Task(
        name="main",
        engine=SpecConfig(
            type="docker",
            params={
                "Image": "a:1",
                "Entrypoint": None,
                "Parameters": ["sh", "-c", "ls"],
                "EnvironmentVariables": ["a=b"],
                "WorkingDirectory": "",
            },
        ),
        publisher=SpecConfig(type="ipfs"),
        input_sources=(
            InputSource(source=SpecConfig(type="s3", params=s3), alias="s3://b/k", target="/in"),
            InputSource(source=SpecConfig(type="urlDownload", params={"URL": "https://h/f"}), target="/inputs"),
            InputSource(source=SpecConfig(type="ipfs", params={"CID": "Qm"}), target="/c"),
            InputSource(source=SpecConfig(type="local", params={"SourcePath": "/d", "ReadWrite": True}), target="/d"),
        ),
        result_paths=(ResultPath(name="logs", path="/var/log"), ResultPath(name="outputs", path="/outputs")),
        resources=ResourcesConfig(cpu="500m", memory="536870912", disk="1073741824"),
        network=NetworkConfig(type="http", domains=("example.org",)),
        timeouts=Timeouts(execution_timeout=1800),
    )
    constraints = (LabelSelectorRequirement(key="zone", operator="in", values=("eu",)),)
    assert job == Job(type="batch", count=3, constraints=constraints, labels={"a": "", "b": ""}, tasks=(task,))


def test_files_from_the_web_stand_side_by_side_in_one_folder():
    """As that generation put them; a URL by itself stays a folder with a file in it."""
    urls = ["https://h/a/x.csv", " 'https://h/b/y%20z.txt?c=/d#e' ", "https://h", "http://[h"]
    inputs = [{"StorageSource": "URLDownload", "URL": url, "Path": "/inputs/"} for url in urls]
    inputs += [{"StorageSource": "IPFS", "CID": "Qm", "path": "/inputs"}]
    inputs += [{"StorageSource": "urlDownload", "URL": "https://h/z", "Path": "/alone"}]
    text = json.dumps({"APIVersion": "V1beta1", "Spec": {"Docker": {"Image": "a"}, "Inputs": inputs}})
    found = read_job_text(text, strict=True)[0].task.input_sources
    assert [(item.target, item.source.params.get("AsFile", False)) for item in found] == [
        ("/inputs/x.csv", True),
        ("/inputs/y z.txt", True),
        ("/inputs/", False),
        ("/inputs/", False),
        ("/inputs", False),
        ("/alone", False),
    ]


def test_all_nodes_is_an_ops_job():
    job, _ = read_job_text("Spec: {Docker: {Image: a}, Deal: {TargetingMode: true}}", strict=True)
    assert (job.type, job.count) == ("ops", 0)


def test_a_description_or_dry_run_can_be_submitted_again():
    job, _ = read_job_text(OLDER, strict=True)
    job = normalized(job)
    again, warnings = read_job_text(json.dumps(seed_job(job, [Execution(id="e-1")], [])), strict=True)
    assert (normalized(again), warnings) == (job, [])
    assert normalized(read_job_text(json.dumps(seed_dry_run(job)), strict=True)[0]) == job


@given(
    st.builds(
        Job,
        name=st.text(max_size=8),
        type=st.text(max_size=8),
        count=st.none() | st.integers(0, 9),
        labels=st.dictionaries(st.text(max_size=4), st.text(max_size=4)),
    )
)
def test_what_is_written_reads_back(job):
    assert read_job_text(encode(job).decode(), strict=False)[0] == job


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        read_job_text(text, strict=True)
    except BadRequest as e:
        assert e.message
