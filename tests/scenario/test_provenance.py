"""What executions read and wrote: told by the API and checked by `get`, over the whole system without containers."""

import hashlib
import json
import os

import httpx
import pytest

from tests.support.system import OWNER, System

DATA = {"in/a.txt": b"first", "in/b/c.bin": bytes(3_000_000), "in/empty": b""}


@pytest.fixture(scope="module")
def plain(anyio_backend, tmp_path_factory):
    """A system that runs no containers."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "data").mkdir()
    (folder / "data" / "there").write_text("of the node")
    settings = {"Compute.AllowListedLocalPaths": f"{folder}/data/**"}
    with System(folder / "system", "unix:///nowhere/docker.sock", settings=settings) as system:
        yield system


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def run_job(system, **task):
    job = {
        "Type": "batch",
        "Count": task.pop("Count", 1),
        "Tasks": [{"Name": "main", "Engine": {"Type": "noop", "Params": {"Stdout": "said\n"}}, **task}],
    }
    done = system.client.wait(system.client.submit(job), 60)
    assert (done.state.state_type, done.state.message) == ("Completed", "")
    return done.id


def provenance(system, job_id, **query):
    answer = httpx.get(f"{system.url}/api/v1/orchestrator/jobs/{job_id}/provenance", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["Items"]


def publishers(s3):
    place = {"Bucket": s3.new_bucket(), "Endpoint": s3.url, "Region": "us-east-1", "Key": "r/{executionID}"}
    return {
        "ipfs": {"Type": "ipfs"},
        "local": {"Type": "local"},
        "s3 archive": {"Type": "s3", "Params": place},
        "s3 plain": {"Type": "s3", "Params": place | {"Encoding": "plain"}},
    }


@pytest.mark.parametrize("kind", ["ipfs", "local", "s3 archive", "s3 plain"])
def test_what_was_read_and_written_is_told_file_by_file(plain, s3, kind):
    bucket = s3.new_bucket()
    s3.fill(bucket, DATA)
    place = {"Bucket": bucket, "Endpoint": s3.url, "Region": "us-east-1"}
    sources = [
        {"Target": "/all", "Source": {"Type": "s3", "Params": place | {"Key": "in/*"}}},
        {"Target": "/page", "Source": {"Type": "urlDownload", "Params": {"URL": f"{plain.url}/api/v1/agent/alive"}}},
        {
            "Target": "/there",
            "Source": {"Type": "local", "Params": {"SourcePath": f"{plain.folder.parent}/data/there"}},
        },
    ]
    job_id = run_job(plain, InputSources=sources, Publisher=publishers(s3)[kind])
    (found,) = provenance(plain, job_id)
    (execution,) = plain.client.executions(job_id)
    assert (found["ExecutionID"], found["State"], found.get("Missing", "")) == (execution.id, "Completed", "")
    assert {file["Path"]: (file["Size"], file["SHA256"]) for file in found["Outputs"]} == {
        "exitCode": (1, sha256(b"0")),
        "stderr": (0, sha256(b"")),
        "stdout": (5, sha256(b"said\n")),
    }
    read = {(file["Target"], file["Path"]): file for file in found["Inputs"]}
    for key, data in DATA.items():
        file = read.pop(("/all", key.removeprefix("in/")))
        assert (file["Size"], file["SHA256"]) == (len(data), sha256(data))
        assert file["URI"] == f"s3://{bucket}/{key}" and file["ETag"]
    page = read.pop(("/page", "alive"))
    assert page["URI"] == f"{plain.url}/api/v1/agent/alive" and page["Size"] > 0 and page["SHA256"]
    assert [(path, file.get("SHA256")) for path, file in read.items()] == [(("/there", "there"), "")]
    stages = {stage["Name"]: (stage.get("Files", 0), stage.get("Bytes", 0)) for stage in found["Stages"]}
    assert stages["publishing"] == (3, 6) and stages["staging"][0] == 5 and "running" in stages
    shown = json.loads(plain.cli("job", "describe", "--provenance", "--output", "json", job_id).stdout)
    assert shown["Items"] == [found]
    assert "Outputs:" in plain.cli("job", "describe", "--provenance", job_id).stdout
    assert found["InputDigest"] and found["SourceDigest"] and found["OutputDigest"]


def test_equal_work_has_equal_digests(plain, s3):
    source = {"Target": "/in", "Source": {"Type": "s3", "Params": {"Endpoint": s3.url, "Region": "us-east-1"}}}
    buckets = [s3.new_bucket() for _ in range(2)]
    for bucket in buckets:
        s3.fill(bucket, DATA)
    found = []
    for bucket in (*buckets, buckets[0]):
        place = source["Source"]["Params"] | {"Bucket": bucket, "Key": "in/*"}
        job_id = run_job(
            plain, InputSources=[{**source, "Source": {"Type": "s3", "Params": place}}], Publisher={"Type": "ipfs"}
        )
        found += provenance(plain, job_id)
    assert len({each["InputDigest"] for each in found}) == len({each["OutputDigest"] for each in found}) == 1
    assert found[0]["SourceDigest"] == found[2]["SourceDigest"]
    from_cache = [{file.get("FromCache", False) for file in each["Inputs"]} for each in found]
    assert from_cache == [{False}, {False}, {True}]


def test_what_keeps_nothing_has_no_proof_and_says_so(plain):
    job_id = run_job(plain)
    (found,) = provenance(plain, job_id)
    assert found["Missing"] == "it read no input and published nothing"
    answer = httpx.get(f"{plain.url}/api/v1/orchestrator/jobs/{job_id}/provenance", params={"execution_id": "e-none"})
    assert answer.status_code == 404 and "e-none" in answer.json()["Message"]


@pytest.mark.parametrize("kind", ["ipfs", "local", "s3 archive", "s3 plain"])
def test_results_are_compared_with_what_was_written(plain, s3, tmp_path, kind):
    job_id = run_job(plain, Publisher=publishers(s3)[kind], Count=2)
    plain.cli("get", job_id, "--output-dir", tmp_path, **OWNER)
    assert (tmp_path / "stdout").read_text() == ("said\n" if kind == "ipfs" else "said\nsaid\n")
    (tmp_path / "one").mkdir()
    plain.cli("get", f"{job_id}/exitCode", "--output-dir", tmp_path / "one", **OWNER)
    assert os.listdir(tmp_path / "one") == ["exitCode"]


def test_a_result_that_was_changed_in_its_bucket_is_refused_with_the_names(plain, s3, tmp_path):
    publisher = publishers(s3)["s3 plain"]
    job_id = run_job(plain, Publisher=publisher)
    (execution,) = plain.client.executions(job_id)
    bucket, prefix = publisher["Params"]["Bucket"], f"r/{execution.id}/"
    s3.boto.delete_object(Bucket=bucket, Key=prefix + "exitCode")
    s3.fill(bucket, {prefix + "stdout": b"lied\n", prefix + "more": b"x"})
    said = plain.cli("get", job_id, "--output-dir", tmp_path, code=1, **OWNER).stderr
    for words in (
        "3 of its files differ",
        "'stdout' is another one",
        "'exitCode' is missing",
        "'more' was not written",
    ):
        assert words in said
    s3.boto.delete_object(Bucket=bucket, Key=prefix + "more")
    s3.fill(bucket, {prefix + "stdout": b"said\n", prefix + "exitCode": b"0"})
    plain.cli("get", job_id, "--output-dir", tmp_path, **OWNER)
    assert (tmp_path / "stdout").read_text() == "said\n"


def test_half_of_a_result_in_its_bucket_is_named_as_half(plain, s3, tmp_path):
    publisher = publishers(s3)["s3 plain"]
    job_id = run_job(plain, Publisher=publisher)
    (execution,) = plain.client.executions(job_id)
    mark = f"r/{execution.id}/_bacalhau/manifest.json"
    bucket = publisher["Params"]["Bucket"]
    told = json.loads(s3.boto.get_object(Bucket=bucket, Key=mark)["Body"].read())
    assert (told["jobID"], told["executionID"]) == (job_id, execution.id)
    outputs = provenance(plain, job_id)[0]["Outputs"]
    assert [(each["path"], each["size"], each["sha256"]) for each in told["files"]] == [
        (each["Path"], each.get("Size", 0), each["SHA256"]) for each in outputs
    ]
    reader = run_job(plain, InputSources=[{"Target": "/in", "Source": {"Type": "job", "Params": {"Job": job_id}}}])
    assert [file["Path"] for file in provenance(plain, reader)[0]["Inputs"]] == ["exitCode", "stderr", "stdout"]
    s3.boto.delete_object(Bucket=bucket, Key=mark)
    said = plain.cli("get", job_id, "--output-dir", tmp_path, code=1, **OWNER).stderr
    assert "is incomplete: its last object, _bacalhau/manifest.json, is not there" in said


def statements(system, job_id, **query):
    url = f"{system.url}/api/v1/orchestrator/jobs/{job_id}/provenance"
    answer = httpx.get(url, params={"format": "intoto", **query})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-ndjson", answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_execution_is_an_in_toto_statement_of_what_it_read_and_published(plain, s3):
    bucket = s3.new_bucket()
    s3.fill(bucket, DATA)
    place = {"Bucket": bucket, "Endpoint": s3.url, "Region": "us-east-1", "Key": "in/*"}
    there = {"Type": "local", "Params": {"SourcePath": f"{plain.folder.parent}/data/there"}}
    job_id = run_job(
        plain,
        Count=2,
        InputSources=[
            {"Target": "/in", "Source": {"Type": "s3", "Params": place}},
            {"Target": "/there", "Source": there},
        ],
        Publisher={"Type": "ipfs"},
        Env={"PASSWORD": "hidden"},
        ResultPaths=[{"Name": "outputs", "Path": "/outputs"}],
    )
    told = statements(plain, job_id)
    executions = {each.id: each for each in plain.client.executions(job_id)}
    assert sorted(each["predicate"]["runDetails"]["metadata"]["invocationId"] for each in told) == sorted(executions)
    for each in told:
        predicate = each["predicate"]
        definition, details = predicate["buildDefinition"], predicate["runDetails"]
        execution = executions[details["metadata"]["invocationId"]]
        assert (each["_type"], each["predicateType"]) == (
            "https://in-toto.io/Statement/v1",
            "https://slsa.dev/provenance/v1",
        )
        subject = {file["name"]: file["digest"]["sha256"] for file in each["subject"]}
        assert subject == {"exitCode": sha256(b"0"), "stderr": sha256(b""), "stdout": sha256(b"said\n")}
        asked = definition["externalParameters"]
        assert asked["partition"] == {"index": execution.partition_index, "count": 2}
        assert (asked["job"]["id"], asked["job"]["version"], asked["environment"]) == (job_id, 1, ["PASSWORD"])
        assert asked["engine"] == {"type": "noop", "settings": {"Stdout": "said\n"}}
        read = {file["name"]: file for file in definition["resolvedDependencies"]}
        for key, data in DATA.items():
            file = read.pop("/in/" + key.removeprefix("in/"), None)
            if file is not None:
                assert (file["uri"], file["digest"]) == (f"s3://{bucket}/{key}", {"sha256": sha256(data)})
                assert file["annotations"]["etag"] and file["annotations"]["size"] == len(data)
        assert [file.get("digest") for file in read.values()] == [None]
        assert details["builder"]["id"].endswith(execution.node_id) and details["builder"]["version"]["bacalhau"]
        assert details["metadata"]["startedOn"] <= details["metadata"]["finishedOn"]
        assert [stage["name"] for stage in details["byproducts"]] == ["staging", "running", "publishing"]
    assert "hidden" not in json.dumps([told, provenance(plain, job_id)])
    shown = plain.cli("job", "describe", "--provenance", "--output", "intoto", job_id).stdout
    assert [json.loads(line) for line in shown.splitlines()] == told
    (one,) = statements(plain, job_id, execution_id=execution.id)
    assert one["predicate"]["runDetails"]["metadata"]["invocationId"] == execution.id
    assert b"".join(plain.client.statements(job_id)).decode() == shown


def test_a_form_of_provenance_that_cannot_be_is_refused(plain):
    job_id = run_job(plain)
    url = f"{plain.url}/api/v1/orchestrator/jobs/{job_id}/provenance"
    for query, words in (
        ({"format": "spdx"}, "query parameter 'format' must be"),
        ({"format": "intoto", "page": 1, "execution_id": "e-1"}, "'page' is for answers without 'format'"),
    ):
        answer = httpx.get(url, params=query)
        assert answer.status_code == 400 and words in answer.json()["Message"]
    assert httpx.get(url, params={"format": "intoto", "execution_id": "e-none"}).status_code == 404
    said = plain.cli("job", "describe", "--output", "intoto", job_id, code=1).stderr
    assert "--output intoto is one form of --provenance" in said
    said = plain.cli("job", "describe", "--output", "spdx", job_id, code=1).stderr
    assert 'should be one of ["json" "yaml" "intoto"]' in said
    (told,) = statements(plain, job_id)
    assert told["subject"] == [] and told["predicate"]["runDetails"]["byproducts"] == [
        {"name": "missing", "annotations": {"reason": "it read no input and published nothing"}}
    ]
