"""The older generation's views, key by key against what its own binary printed."""

import pytest

from bacalhau.lib.clock import from_rfc3339
from bacalhau.lib.wire import encode
from bacalhau.models.execution.event import Event, JobHistory
from bacalhau.models.execution.execution import (
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
    RunCommandResult,
)
from bacalhau.models.job.job import Job, JobState, LabelSelectorRequirement, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.seed.results import published_text, result_view, storage_view
from bacalhau.models.seed.view import execution_state_text, job_state_text, seed_dry_run, seed_job, seed_list_row
from bacalhau.plugins.uris import parse_input

JOB_ID = "c9deccb5-ac82-4c97-88e3-8d2664605365"
NODE = "n-a316da34-f787-4978-a646-b58a46fd355e"
CLIENT = "a93eb1de5533af48bb2bc9efc041b57557c5f0fcc36d56457b3027c72958a967"
CID = "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"
CREATED = from_rfc3339("2026-11-22T13:44:10.044856983Z")
SOURCE = "s3://noaa-goes16/ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*"

RECORDED = (
    '{"Job":{"APIVersion":"V1beta2","Metadata":{"ID":"c9deccb5-ac82-4c97-88e3-8d2664605365","CreatedAt":"2026-11-22T13:44:10.044856983Z",'
    '"ClientID":"a93eb1de5533af48bb2bc9efc041b57557c5f0fcc36d56457b3027c72958a967","Requester":{"RequesterNodeID":"n-a316da34-f787-4978-a646-b58a46fd355e"}},'
    '"Spec":{"EngineSpec":{"Type":"docker","Params":{"Entrypoint":null,"EnvironmentVariables":[],"Image":"127.0.0.1:5000/alpine",'
    '"Parameters":["sh","-c","cp -r /inputs/*'
    ' /outputs/"],"WorkingDirectory":""}},"PublisherSpec":{"Type":"ipfs"},"Docker":{},"Wasm":{"EntryModule":{}},'
    '"Resources":{"GPU":""},"Network":{"Type":"None"},"Timeout":1800,"Inputs":[{"StorageSource":"s3",'
    '"Name":"s3://noaa-goes16/ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*","S3":{"Bucket":"noaa-goes16",'
    '"Key":"ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*","Endpoint":"http://127.0.0.1:8333","Region":"us-east-1"},"Path":"/inputs"}],'
    '"Outputs":[{"Name":"outputs","Path":"/outputs"}],"Deal":{"Concurrency":1}}},"State":{"JobID":"c9deccb5-ac82-4c97-88e3-8d2664605365",'
    '"Executions":[{"JobID":"c9deccb5-ac82-4c97-88e3-8d2664605365","NodeId":"n-a316da34-f787-4978-a646-b58a46fd355e",'
    '"ComputeReference":"e-d55cbaf7-9555-41d8-bd11-0aca59234f5e","State":"Completed","Status":". execution'
    ' completed","DesiredState":2,'
    '"PublishedResults":{"StorageSource":"ipfs","CID":"QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"},"RunOutput":{"stdout":"","stdouttruncated":false,'
    '"stderr":"","stderrtruncated":false,"exitCode":0,"runnerError":""},"Version":6,"CreateTime":"2026-11-22T13:44:10.051399335Z",'
    '"UpdateTime":"2026-11-22T13:44:10.347886408Z"}],"State":"Completed","Version":3,"CreateTime":"2026-11-22T13:44:10.044856983Z",'
    '"UpdateTime":"2026-11-22T13:44:10.350366435Z","TimeoutAt":"2026-11-22T14:14:10.044856983Z"}}'
)
"""What `describe --json` of the older generation printed for the tutorial's job."""


def tutorial_job(**more):
    params = {
        "Image": "127.0.0.1:5000/alpine",
        "Entrypoint": None,
        "Parameters": ["sh", "-c", "cp -r /inputs/* /outputs/"],
        "EnvironmentVariables": [],
        "WorkingDirectory": "",
    }
    task = {
        "name": "main",
        "engine": SpecConfig(type="docker", params=params),
        "publisher": SpecConfig(type="ipfs"),
        "input_sources": (parse_input(SOURCE + ":/inputs,opt=endpoint=http://127.0.0.1:8333,opt=region=us-east-1"),),
        "result_paths": (ResultPath(name="outputs", path="/outputs"),),
        "network": NetworkConfig(type="None"),
        "timeouts": Timeouts(execution_timeout=1800),
    } | more
    return Job(
        id=JOB_ID,
        type="batch",
        count=1,
        meta={"bacalhau.org/client.id": CLIENT, "bacalhau.org/requester.id": NODE},
        tasks=(Task(**task),),
        state=JobState(state_type=JobStateType.COMPLETED),
        version=1,
        revision=3,
        create_time=CREATED,
        modify_time=from_rfc3339("2026-11-22T13:44:10.350366435Z"),
    )


def execution(state=ComputeStateType.COMPLETED, why="execution completed", **more):
    fields = {
        "id": "e-d55cbaf7-9555-41d8-bd11-0aca59234f5e",
        "job_id": JOB_ID,
        "node_id": NODE,
        "desired_state": DesiredState(state_type=DesiredStateType.STOPPED, message=why),
        "compute_state": ComputeState(state_type=state),
        "published_result": SpecConfig(type="ipfs", params={"CID": CID}),
        "revision": 6,
        "create_time": from_rfc3339("2026-11-22T13:44:10.051399335Z"),
        "modify_time": from_rfc3339("2026-11-22T13:44:10.347886408Z"),
    } | more
    return Execution(**fields)


def test_the_tutorials_description_key_by_key():
    assert encode(seed_job(tutorial_job(), [execution()])).decode() == RECORDED


def test_a_cancelled_execution_shows_no_result_and_no_output():
    cancelled = execution(
        ComputeStateType.CANCELLED, "execution not needed due to job update", published_result=SpecConfig()
    )
    drawn = seed_job(tutorial_job(), [cancelled])["State"]["Executions"][0]
    assert list(drawn) == [
        "JobID",
        "NodeId",
        "ComputeReference",
        "State",
        "Status",
        "DesiredState",
        "PublishedResults",
        "Version",
        "CreateTime",
        "UpdateTime",
    ]
    assert (drawn["Status"], drawn["PublishedResults"]) == (". execution not needed due to job update", {})


def test_a_failed_execution_shows_its_cause():
    failed = execution(
        compute_state=ComputeState(state_type=ComputeStateType.FAILED, message="no such image"), run_output=None
    )
    drawn = seed_job(tutorial_job(), [failed])["State"]["Executions"][0]
    assert (drawn["State"], drawn["Status"]) == ("Failed", "no such image. execution completed")


def test_run_output():
    output = RunCommandResult(stdout="out\n", stderr="err\n", exit_code=3, stderr_truncated=True)
    drawn = seed_job(tutorial_job(), [execution(run_output=output)])["State"]["Executions"][0]["RunOutput"]
    assert drawn == {
        "stdout": "out\n",
        "stdouttruncated": False,
        "stderr": "err\n",
        "stderrtruncated": True,
        "exitCode": 3,
        "runnerError": "",
    }


RESULT = {
    "Bucket": "results",
    "Key": "r.tar.gz",
    "Filter": "",
    "Region": "us-east-1",
    "Endpoint": "http://h",
    "VersionID": "v1",
    "ChecksumSHA256": "c=",
}


def test_an_s3_result_carries_name_checksum_and_version():
    found = execution(published_result=SpecConfig(type="s3", params=RESULT))
    drawn = seed_job(tutorial_job(), [found])["State"]["Executions"][0]["PublishedResults"]
    s3 = {
        "Bucket": "results",
        "Key": "r.tar.gz",
        "Checksum": "c=",
        "ChecksumSHA256": "c=",
        "VersionID": "v1",
        "Endpoint": "http://h",
        "Region": "us-east-1",
    }
    assert drawn == {"StorageSource": "s3", "Name": "s3://results/r.tar.gz", "S3": s3}


def test_every_part_of_the_spec():
    job = tutorial_job(
        env={"A": "b"},
        resources=ResourcesConfig(cpu="500m", memory="512mb", disk="1Gi", gpu="1"),
        network=NetworkConfig(type="HTTP", domains=("example.org",)),
        timeouts=Timeouts(total_timeout=60),
        publisher=SpecConfig(type="s3", params={"key": "k", "bucket": "b"}),
        input_sources=(
            parse_input("file:///d:/d,opt=rw=true"),
            parse_input("https://h/f:/u"),
            parse_input("ipfs://Qm:/c"),
        ),
    )
    job = Job(
        **{f: getattr(job, f) for f in ("id", "tasks")},
        type="ops",
        count=0,
        labels={"x": "1"},
        constraints=(LabelSelectorRequirement(key="a", operator="exists"),),
    )
    spec = seed_job(job, [])["Job"]["Spec"]
    assert spec["EngineSpec"]["Params"]["EnvironmentVariables"] == ["A=b"]
    assert spec["Resources"] == {"CPU": "500m", "Memory": "512000000", "Disk": "1073741824", "GPU": "1"}
    assert (spec["Network"]["Type"], list(spec["Network"]["Domains"])) == ("HTTP", ["example.org"])
    assert (spec["Timeout"], spec["Deal"]) == (60, {"TargetingMode": True})
    assert list(spec["PublisherSpec"]["Params"]) == ["bucket", "key"]
    assert (list(spec["Annotations"]), list(spec["NodeSelectors"])) == (["x"], [{"Key": "a", "Operator": "exists"}])
    assert list(spec["Inputs"]) == [
        {"StorageSource": "localDirectory", "Name": "file:///d", "SourcePath": "/d", "ReadWrite": True, "Path": "/d"},
        {"StorageSource": "urlDownload", "Name": "https://h/f", "URL": "https://h/f", "Path": "/u"},
        {"StorageSource": "ipfs", "Name": "ipfs://Qm", "CID": "Qm", "Path": "/c"},
    ]


def test_without_a_limit_there_is_no_deadline():
    state = seed_job(tutorial_job(timeouts=None), [])["State"]
    assert state["TimeoutAt"] == "0001-01-01T00:00:00Z"


def test_dry_run():
    params = {
        "Image": "a",
        "Parameters": ["echo"],
        "Entrypoint": None,
        "EnvironmentVariables": [],
        "WorkingDirectory": "",
    }
    task = Task(
        name="main",
        engine=SpecConfig(type="docker", params=params),
        publisher=SpecConfig(type="ipfs"),
        result_paths=(ResultPath(name="outputs", path="/outputs"),),
        network=NetworkConfig(type="None"),
    )
    drawn = seed_dry_run(Job(type="batch", count=1, tasks=(task,)))
    assert (
        encode(drawn).decode()
        == '{"APIVersion":"V1beta2","Metadata":{"CreatedAt":"0001-01-01T00:00:00Z","Requester":{}},"Spec":'
        '{"EngineSpec":{"Type":"docker","Params":'
        '{"Entrypoint":null,"EnvironmentVariables":[],"Image":"a","Parameters":["echo"],"WorkingDirectory":""}},"Publisher":"ipfs",'
        '"PublisherSpec":{"Type":"ipfs"},"Docker":{},"Wasm":{"EntryModule":{}},"Resources":{"GPU":""},"Network":{"Type":"None"},'
        '"Outputs":[{"StorageSource":"ipfs","Name":"outputs","Path":"/outputs"}],"Deal":{"Concurrency":1}}}'
    )


JOB_TEXT = (
    'Type:"docker",Params:"map[Entrypoint:<nil> EnvironmentVariables:[] Image:127.0.0.1:5000/alpine '
    'Parameters:[sh -c cp -r /inputs/* /outputs/] WorkingDirectory:]"'
)


def test_list_row():
    row = seed_list_row(tutorial_job(), [execution(ComputeStateType.FAILED), execution()])
    assert row == (CREATED, JOB_ID, JOB_TEXT, "Completed", f"ipfs://{CID}")


@pytest.mark.parametrize(
    ("state", "tried", "shown"),
    [
        ("Pending", [], "New"),
        ("Queued", [], "Queued"),
        ("Running", [execution(ComputeStateType.RUNNING)], "InProgress"),
        ("Failed", [], "Error"),
        ("Failed", [execution(ComputeStateType.FAILED)], "Failed"),
        ("Stopped", [execution(ComputeStateType.CANCELLED)], "Cancelled"),
    ],
)
def test_list_states(state, tried, shown):
    row = seed_list_row(Job(id="j", state=JobState(state_type=JobStateType(state))), tried)
    assert (row.state, row.published) == (shown, "")


def test_go_text():
    params = {"b": True, "n": 1.0, "f": 0.5, "m": {"z": 1, "a": [None, "x"]}}
    job = Job(tasks=(Task(engine=SpecConfig(type="noop", params=params)),))
    assert seed_list_row(job, []).job == 'Type:"noop",Params:"map[b:true f:0.5 m:map[a:[<nil> x] z:1] n:1]"'
    assert seed_list_row(Job(), []).job == 'Type:"",Params:"map[]"'


def entry(message, execution_id="", **details):
    level = "ExecutionLevel" if execution_id else "JobLevel"
    event = Event(message=message, details=details or None)
    return JobHistory(type=level, job_id=JOB_ID, execution_id=execution_id, event=event, time="2026-11-22T13:44:10Z")


def test_history():
    one = execution()
    items = [
        entry("Job submitted"),
        entry("Requested", one.id),
        entry("Running", NewState="Running"),
        entry("Done", one.id),
        entry("Done", NewState="Completed"),
    ]
    history = seed_job(tutorial_job(), [one], items)["History"]
    assert [
        (h["Type"], (h.get("JobState") or h["ExecutionState"]), h["NewVersion"], h["Comment"]) for h in history
    ] == [
        ("JobLevel", {"Previous": "New", "New": "New"}, 1, "Job submitted"),
        ("ExecutionLevel", {"Previous": "New", "New": "New"}, 1, "Requested"),
        ("JobLevel", {"Previous": "New", "New": "InProgress"}, 2, "Running"),
        ("ExecutionLevel", {"Previous": "New", "New": "Completed"}, 2, "Done"),
        ("JobLevel", {"Previous": "InProgress", "New": "Completed"}, 3, "Done"),
    ]
    assert (history[1]["NodeID"], history[1]["ComputeReference"]) == (NODE, one.id)


def test_history_of_an_execution_that_is_not_shown():
    items = [entry("a", "e-2", NewState="Running"), entry("b", "e-2", FailsExecution="true")]
    history = seed_job(tutorial_job(), [], items)["History"]
    assert [h["ExecutionState"]["New"] for h in history] == ["BidAccepted", "Failed"]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (SpecConfig(), ""),
        (SpecConfig(type="ipfs", params={"CID": "Qm"}), "ipfs://Qm"),
        (SpecConfig(type="s3", params={"bucket": "b", "key": "k/"}), "s3://b/k/"),
        (
            SpecConfig(type="s3PreSigned", params={"SourceSpec": RESULT, "PreSignedURL": "http://x", "Managed": False}),
            "s3://results/r.tar.gz",
        ),
        (SpecConfig(type="urlDownload", params={"URL": "http://h/e.tar.gz"}), "http://h/e.tar.gz"),
    ],
)
def test_published(result, text):
    assert published_text(result) == text


def test_an_unknown_kind_keeps_its_name():
    assert storage_view(SpecConfig(type="inline", params={"URL": "data:,x"})) == result_view(
        SpecConfig(type="inline", params={"URL": "data:,x"})
    )
    assert storage_view(SpecConfig(type="inline", params={"URL": "data:,x"})).url == "data:,x"


def test_state_words():
    assert job_state_text(JobStateType.UNDEFINED) == "Undefined"
    assert [execution_state_text(s) for s in (ComputeStateType.PUBLISHING, ComputeStateType.ASK_FOR_BID)] == [
        "BidAccepted",
        "AskForBid",
    ]
