"""The tutorial "Running a job over S3 data", command by command; the CID is the one the original gave for the same
objects.
"""

import base64
import hashlib
import json
import os

import pytest

from tests.support.s3 import PUBLIC_BUCKET, TUTORIAL_PREFIX

CID = "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"
COPY = ["sh", "-c", "cp -r /inputs/* /outputs/"]


@pytest.fixture(scope="module")
def source(s3):
    return f"s3://{PUBLIC_BUCKET}/{TUTORIAL_PREFIX}M3C01*:/inputs,opt=endpoint={s3.url},opt=region=us-east-1"


@pytest.fixture(scope="module")
def job_id(system, source):
    """The tutorial's first command."""
    shown = system.cli("docker", "run", "-i", source, "--id-only", "--wait", system.image, "--", *COPY)
    (line,) = shown.stdout.splitlines()
    assert shown.stdout == f"{line}\n"
    return line


def published(system, job_id):
    executions = json.loads(system.cli("describe", job_id, "--json").stdout)["State"]["Executions"]
    return [e["PublishedResults"] for e in executions if e["PublishedResults"]]


def test_list_and_describe(system, job_id):
    shown = system.cli("list", "--id-filter", job_id, "--wide").stdout
    assert job_id in shown
    assert "Completed" in shown
    assert f"ipfs://{CID}" in shown
    assert "Completed" in system.cli("describe", job_id).stdout


def test_the_result_has_the_cid_of_the_original(system, job_id):
    assert [result["CID"] for result in published(system, job_id)] == [CID]


def test_get_brings_the_twenty_files_and_refuses_to_bring_them_twice(system, job_id, tmp_path):
    (tmp_path / "results").mkdir()
    system.cli("get", job_id, "--output-dir", "results", cwd=tmp_path)
    names = sorted(os.listdir(tmp_path / "results" / "outputs"))
    assert len(names) == 20
    for number, name in enumerate(names):
        assert name == f"OR_ABI-L1b-RadC-M3C01_G16_s2000001120{number:04d}.nc"
        assert (tmp_path / "results" / "outputs" / name).read_bytes() == bytes([number]) * 1000
    assert (tmp_path / "results" / "exitCode").read_text() == "0"
    assert sorted(os.listdir(tmp_path / "results")) == ["exitCode", "outputs", "stderr", "stdout"]
    again = system.cli("get", job_id, "--output-dir", "results", cwd=tmp_path, code=1)
    assert "exitCode" in again.stderr or "already" in again.stderr
    assert sorted(os.listdir(tmp_path / "results")) == ["exitCode", "outputs", "stderr", "stdout"]


def test_get_of_one_file_brings_that_file_alone(system, job_id, tmp_path):
    name = "OR_ABI-L1b-RadC-M3C01_G16_s20000011200007.nc"
    system.cli("get", f"{job_id}/outputs/{name}", "--output-dir", ".", cwd=tmp_path)
    files = [os.path.relpath(os.path.join(at, file), tmp_path) for at, _, files in os.walk(tmp_path) for file in files]
    assert files == [f"outputs/{name}"]
    assert (tmp_path / files[0]).read_bytes() == bytes([7]) * 1000


def test_files_from_the_web_without_a_target_stand_side_by_side(system, s3):
    stem = f"{s3.url}/{PUBLIC_BUCKET}/{TUTORIAL_PREFIX}M3C01_G16_s2000001120"
    inputs = [word for number in (3, 4) for word in ("-i", f"{stem}{number:04d}.nc")]
    job_id = system.cli("docker", "run", *inputs, "--id-only", "--wait", system.image, "--", "ls", "/inputs").stdout
    names = [f"OR_ABI-L1b-RadC-M3C01_G16_s2000001120{number:04d}.nc" for number in (3, 4)]
    assert system.cli("logs", job_id.strip()).stdout.splitlines() == names


@pytest.mark.parametrize("key", ["plain-key/{jobID}", "result-{date}-{jobID}"])
def test_results_in_s3_have_the_checksum_they_say(system, s3, bucket, tmp_path, key):
    publisher = f"s3://{bucket}/{key},opt=endpoint={s3.url},opt=region=us-east-1"
    script = ["sh", "-c", "mkdir -p /outputs/d; echo hello > /outputs/d/h.txt"]
    job_id = system.cli(
        "docker", "run", "-p", publisher, "--id-only", "--wait", system.image, "--", *script
    ).stdout.strip()
    (result,) = published(system, job_id)
    listed = s3.boto.list_objects_v2(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == [result["S3"]["Key"]]
    assert result["S3"]["Key"].startswith(key.partition("{")[0])
    assert job_id in result["S3"]["Key"]
    body = s3.boto.get_object(Bucket=bucket, Key=result["S3"]["Key"])["Body"].read()
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == result["S3"]["ChecksumSHA256"]
    got = system.cli("get", job_id, "--output-dir", ".", cwd=tmp_path)
    assert got.stderr == f"Fetching results of job '{job_id}'...\n"
    assert (tmp_path / "outputs" / "d" / "h.txt").read_text() == "hello\n"


def test_a_job_file_of_the_seed(system, s3, bucket, tmp_path):
    (tmp_path / "job.yaml").write_text(f"""\
APIVersion: V1beta2
Spec:
  EngineSpec:
    Type: docker
    Params:
      Image: {system.image}
      Entrypoint: [echo, from a file]
  PublisherSpec:
    Type: S3
    Params:
      Bucket: {bucket}
      Key: yaml/{{jobID}}
      Endpoint: {s3.url}
      Region: us-east-1
  Deal:
    Concurrency: 1
""")
    job_id = system.cli("create", "job.yaml", "--id-only", "--wait", cwd=tmp_path).stdout.strip()
    assert system.cli("logs", job_id).stdout == "from a file\n"
    (entry,) = s3.boto.list_objects_v2(Bucket=bucket, Prefix="yaml/")["Contents"]
    assert job_id in entry["Key"]
