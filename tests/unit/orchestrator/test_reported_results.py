"""Results that a node makes up: the orchestrator keeps, signs and hands out only what belongs to the execution."""

import pytest
from msgspec.structs import replace

from bacalhau.models.job.retry import FAILURE_KIND, PUBLISH
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ComputeError, RunResult
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.messages.results import without_false_result
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.registry import all_plugins
from tests.unit.orchestrator.house import open_house
from tests.unit.orchestrator.make import make_execution, make_job

CID = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
PLACE = {"Bucket": "ours", "Key": "r/{jobID}/{date}-{executionID}", "Endpoint": "http://h:1"}
JOB, EXECUTION = make_job(), make_execution()
KEY = f"r/{JOB.id}/20261128-{EXECUTION.id}.tar.gz"
NONE, IPFS, MANAGED = SpecConfig(), SpecConfig(type="ipfs"), SpecConfig(type="s3managed")
S3 = SpecConfig(type="s3", params=PLACE)


def s3(**other):
    return SpecConfig(type="s3", params={**PLACE, "Key": KEY, "Region": "eu-1", "VersionID": "v", **other})


def managed(job=JOB.id, execution=EXECUTION.id):
    return SpecConfig(type="s3managed", params={"JobID": job, "ExecutionID": execution})


def ipfs(cid):
    return SpecConfig(type="ipfs", params={"CID": cid})


async def told(tmp_path, publisher, message):
    job = replace(JOB, tasks=(replace(JOB.tasks[0], publisher=publisher),))
    async with open_house(tmp_path) as house:
        house.orch.checks = Checks({}, {}, {}, results=plugin_checks(all_plugins()).results)
        return await without_false_result(house.orch, replace(EXECUTION, job_version=job.version), job, message)


@pytest.mark.parametrize(
    ("publisher", "result"),
    [
        (IPFS, ipfs(f"{CID}/..")),
        (IPFS, ipfs("Qm/..")),
        (IPFS, ipfs("..")),
        (IPFS, ipfs("")),
        (IPFS, SpecConfig(type="ipfs")),
        (IPFS, s3()),
        (IPFS, managed()),
        (NONE, s3()),
        (S3, s3(Bucket="theirs")),
        (S3, s3(Endpoint="https://theirs.s3.amazonaws.com")),
        (S3, s3(Key=KEY.replace(EXECUTION.id, "e-other"))),
        (S3, s3(Key=KEY.replace(JOB.id, "j-other"))),
        (S3, s3(Key=f"{KEY}/../../secret.tar.gz")),
        (S3, s3(Key="secret.tar.gz")),
        (S3, managed()),
        (MANAGED, managed(job="j-other")),
        (MANAGED, managed(execution="e-other")),
        (MANAGED, s3()),
    ],
)
async def test_a_result_of_somebody_else_is_a_failure_to_publish(tmp_path, publisher, result):
    ids = {"execution_id": EXECUTION.id, "job_id": JOB.id}
    made = await told(tmp_path, publisher, RunResult(**ids, publish_result=result))
    assert isinstance(made, ComputeError) and made.publish_result is None
    assert made.events[0].details[FAILURE_KIND] == PUBLISH
    assert "result that is refused" in made.events[0].message
    made = await told(tmp_path, publisher, ComputeError(**ids, publish_result=result))
    assert made.publish_result is None


@pytest.mark.parametrize(
    ("publisher", "result"),
    [
        (IPFS, ipfs(CID)),
        (S3, s3()),
        (SpecConfig(type="s3", params={**PLACE, "Encoding": "plain"}), s3(Key=KEY.replace(".tar.gz", "/"))),
        (MANAGED, managed()),
        (IPFS, NONE),
        (NONE, None),
        (SpecConfig(type="local"), SpecConfig(type="urlDownload", params={"URL": "http://h/e.tar.gz"})),
        (SpecConfig(type="elsewhere"), SpecConfig(type="elsewhere", params={"Place": 1})),
    ],
)
async def test_an_own_result_stays(tmp_path, publisher, result):
    message = RunResult(execution_id=EXECUTION.id, job_id=JOB.id, publish_result=result)
    assert await told(tmp_path, publisher, message) is message
