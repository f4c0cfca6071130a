"""Results that a node makes up: the orchestrator keeps, signs and hands out only what belongs to the execution."""

import pytest
from msgspec.structs import replace

from bacalhau.models.execution.execution import ComputeState, ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.retry import FAILURE_KIND, PUBLISH
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ComputeError, RunResult
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.jobs.read import list_results
from bacalhau.orchestrator.messages.results import without_false_result
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.loading import Owner
from bacalhau.plugins.registry import Registry, all_plugins
from bacalhau.ports.plugin import DownloaderType, Plugin, PublisherType
from bacalhau.ports.publisher import Published
from tests.unit.orchestrator.house import open_house
from tests.unit.orchestrator.make import make_execution, make_job

CID = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
PLACE = {"Bucket": "ours", "Key": "r/{jobID}/{date}-{executionID}", "Endpoint": "http://h:1"}
JOB, EXECUTION = make_job(), make_execution()
KEY = f"r/{JOB.id}/20261128-{EXECUTION.id}.tar.gz"
NONE, IPFS, MANAGED = SpecConfig(), SpecConfig(type="ipfs"), SpecConfig(type="s3managed")
S3, LOCAL = SpecConfig(type="s3", params=PLACE), SpecConfig(type="local")
NAME = f"{EXECUTION.id}.tar.gz"
FALSE_URLS = (
    "",
    "http://h:1/e-other.tar.gz",
    f"http://h:1/admin?stop=1#/{NAME}",
    f"http://h:1/admin/{NAME}",
    f"http://user:password@h:1/{NAME}",
    f"http://h\\@other:1/{NAME}",
    f"http://h:1\r\nX: y/{NAME}",
    f"https://h:1/{NAME}",
    f"file:///{NAME}",
    f"http://h/{NAME}",
)


def s3(**other):
    return SpecConfig(type="s3", params={**PLACE, "Key": KEY, "Region": "eu-1", "VersionID": "v", **other})


def managed(job=JOB.id, execution=EXECUTION.id):
    return SpecConfig(type="s3managed", params={"JobID": job, "ExecutionID": execution})


def local(url):
    return SpecConfig(type="urlDownload", params={"URL": url})


def ipfs(cid):
    return SpecConfig(type="ipfs", params={"CID": cid})


CHECKS = Checks({}, {}, {}, results=plugin_checks(all_plugins()).results)


async def told(tmp_path, publisher, message):
    job = replace(JOB, tasks=(replace(JOB.tasks[0], publisher=publisher),))
    async with open_house(tmp_path) as house:
        house.orch.checks = CHECKS
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
        *((LOCAL, local(url)) for url in FALSE_URLS),
        (LOCAL, SpecConfig(type="s3PreSigned", params={"PreSignedURL": "http://169.254.169.254/"})),
        (NONE, local(f"http://h:1/{EXECUTION.id}.tar.gz")),
        (SpecConfig(type="elsewhere"), SpecConfig(type="elsewhere", params={"Place": 1})),
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
        (LOCAL, local(f"http://node-1.example:6001/{EXECUTION.id}.tar.gz")),
        (LOCAL, local(f"http://[fd00::1]:6001/{EXECUTION.id}.tar.gz")),
    ],
)
async def test_an_own_result_stays(tmp_path, publisher, result):
    message = RunResult(execution_id=EXECUTION.id, job_id=JOB.id, publish_result=result)
    assert await told(tmp_path, publisher, message) is message


@pytest.mark.parametrize(
    ("result", "is_signed"), [(s3(), True), (s3(Key="secret.tar.gz"), False), (managed(execution="e-other"), False)]
)
async def test_what_an_older_store_kept_unchecked_is_not_signed(tmp_path, result, is_signed):
    asked = []

    async def presign(published):
        asked.append(published)
        return SpecConfig(type="signed")

    done = replace(
        EXECUTION, published_result=result, compute_state=ComputeState(state_type=ComputeStateType.COMPLETED)
    )
    job = replace(JOB, tasks=(replace(JOB.tasks[0], publisher=S3),))
    async with open_house(tmp_path) as house:
        house.orch.checks, house.orch.presign = CHECKS, presign
        await house.orch.commit(Change(new_jobs=(job,)))
        await house.orch.commit(Change(new_executions=(done,)))
        found = await list_results(house.orch, JOB.id)
    assert found.items == (SpecConfig(type="signed") if is_signed else result,)
    ids = (JOB.id, EXECUTION.id)
    assert asked == [Published(result, S3, *ids, EXECUTION.node_id, JOB.namespace, *ids)] * is_signed


def test_without_a_check_of_its_own_a_publisher_reports_what_its_plug_in_fetches():
    known = Registry()
    shelf = (PublisherType("shelf", make="m:a", check="m:a"),)
    downloads = (DownloaderType("box", make="m:a"),)
    known.add(Plugin("shelves", publishers=shelf, downloaders=downloads), Owner("shelves", "shelves 1"))
    known.add(Plugin("other", downloaders=(DownloaderType("theirs", make="m:a"),)), Owner("other", "other 1"))
    check = plugin_checks(known).results["shelf"]

    def problems(kind):
        return check(Published(SpecConfig(type=kind), SpecConfig(type="shelf"), "j-1", "e-1", "n-1"))

    assert problems("Shelf") == problems("box") == []
    assert problems("theirs") == ["a result of type shelf or box was expected, not 'theirs'"]
