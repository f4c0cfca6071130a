"""What the older generation's command line asks, request by request, with the job its own recordings show: the tutorial
gives the original's CID.
"""

import json
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.s3 import PUBLIC_BUCKET, TUTORIAL_PREFIX
from tests.support.seed_client import SeedClient
from tests.support.system import System
from tests.support.until import until

RECORDED = next(
    case["response"]["jobs"][0]
    for case in map(json.loads, (Path(__file__).parents[1] / "api" / "seed_golden.jsonl").read_text().splitlines())
    if case["name"] == "legacy-list"
)
CID = RECORDED["State"]["Executions"][0]["PublishedResults"]["CID"]
COMPACT = (",", ":")
WRITTEN = {
    "Publisher": "noop",
    "PublisherSpec": {"Type": "noop"},
}  # by that client, whatever its server then publishes to


class Cli:
    """It writes compact JSON, and signs that."""

    def __init__(self, system: System) -> None:
        self.client = SeedClient()
        self.http = httpx.Client(base_url=f"{system.url}/api/v1", timeout=60)
        self.logs_url = system.url.replace("http", "ws") + "/api/v1/requester/logs"

    def ask(self, path, **body):
        answer = self.http.post(path, json={"client_id": self.client.id} | body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sign(self, **payload):
        return self.client.envelope({"ClientID": self.client.id} | payload, separators=COMPACT)

    def submit(self, spec):
        """`docker run`"""
        assert self.ask("/version")["build_version_info"]["GitVersion"]
        answer = self.http.post("/requester/submit", content=self.sign(APIVersion="V1beta2", Spec=spec | WRITTEN))
        assert answer.status_code == 200, answer.text
        return answer.json()["job"]["Metadata"]["ID"]

    def until_done(self, job_id):
        """It looks at the events every half second; then it lists the job and asks for its state."""

        def is_done():
            events = self.ask("/requester/events", job_id=job_id)["events"]
            return any(event.get("JobState", {}).get("New") in ("Completed", "Error", "Cancelled") for event in events)

        until(is_done, f"{job_id} ends")
        (info,) = self.ask("/requester/list", id=job_id, max_jobs=1)["jobs"]
        assert self.ask("/requester/states", job_id=job_id)["state"] == info["State"]
        return info

    def logs(self, job_id, execution_id, *, follow=False):
        with connect(self.logs_url) as socket:
            socket.send(self.sign(JobID=job_id, ExecutionID=execution_id, WithHistory=True, Follow=follow))
            return [json.loads(frame) for frame in socket]


@pytest.fixture(scope="module")
def system(anyio_backend, docker_url, docker_image, tmp_path_factory):
    with System(tmp_path_factory.mktemp("seed"), docker_url, image=docker_image) as started:
        yield started


@pytest.fixture(scope="module")
def cli(system):
    made = Cli(system)
    yield made
    made.http.close()


def spec_of(system, *command, **changes):
    recorded = RECORDED["Job"]["Spec"]
    params = recorded["EngineSpec"]["Params"] | {"Image": system.image, "Parameters": [*command]}
    return (
        {key: value for key, value in recorded.items() if key != "Inputs"}
        | {"EngineSpec": {"Type": "docker", "Params": params}}
        | changes
    )


def shape(value):
    """Keys and kinds, all the way down."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in ("Resources", "Version")}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


def test_the_tutorial(cli, system, s3):
    (source,) = RECORDED["Job"]["Spec"]["Inputs"]
    objects = source["S3"] | {"Endpoint": s3.url}
    assert (objects["Bucket"], objects["Key"]) == (PUBLIC_BUCKET, TUTORIAL_PREFIX + "M3C01*")
    command = RECORDED["Job"]["Spec"]["EngineSpec"]["Params"]["Parameters"]
    info = cli.until_done(cli.submit(spec_of(system, *command, Inputs=[source | {"S3": objects}])))
    assert shape(info) == shape(RECORDED)
    assert info["State"]["State"] == "Completed"
    (result,) = cli.ask("/requester/results", job_id=info["Job"]["Metadata"]["ID"])["results"]
    assert result["Data"] == {"StorageSource": "ipfs", "CID": CID}
    assert result["NodeID"] == system.node_id
    (mine,) = cli.ask("/requester/list", max_jobs=10, sort_by="created_at", sort_reverse=True, exclude_tags=["canary"])[
        "jobs"
    ]
    assert mine == info


def test_exit_code_and_streams(cli, system):
    job_id = cli.submit(spec_of(system, "sh", "-c", "echo out; echo err >&2; exit 3"))
    (execution,) = cli.until_done(job_id)["State"]["Executions"]
    output = execution["RunOutput"]
    assert (output["stdout"], output["stderr"], output["exitCode"]) == ("out\n", "err\n", 3)
    assert execution["PublishedResults"]["CID"] == "QmRg1xCUY3Pi8obpRkHpdATiR29Cse4LdSKsVjv3UF3x1C"
    # The two come by ways of their own, so either may be the first.
    frames = sorted(cli.logs(job_id, execution["ComputeReference"]), key=lambda frame: frame["Tag"])
    assert frames == [{"Tag": 1, "Data": "out\n", "ErrorMessage": ""}, {"Tag": 2, "Data": "err\n", "ErrorMessage": ""}]


def test_logs_are_followed_while_the_job_runs_and_end_with_it(cli, system):
    job_id = cli.submit(spec_of(system, "sh", "-c", "echo one; sleep 600"))
    until(lambda: cli.ask("/requester/states", job_id=job_id)["state"]["Executions"], f"{job_id} is placed")
    (execution,) = cli.ask("/requester/states", job_id=job_id)["state"]["Executions"]
    with connect(cli.logs_url) as socket:
        socket.send(cli.sign(JobID=job_id, ExecutionID=execution["ComputeReference"], WithHistory=True, Follow=True))
        assert json.loads(socket.recv(timeout=60)) == {"Tag": 1, "Data": "one\n", "ErrorMessage": ""}
        answer = cli.http.post("/requester/cancel", content=cli.sign(JobID=job_id, Reason=""))
        assert answer.json()["state"]["State"] == "Cancelled"
        assert "".join(json.loads(frame)["ErrorMessage"] for frame in socket) == ""
    (stopped,) = cli.until_done(job_id)["State"]["Executions"]
    assert (stopped["State"], stopped["PublishedResults"]) == ("Cancelled", {})


def test_jobs_of_either_generation_are_seen_by_the_other(cli, system):
    job_id = cli.submit(spec_of(system, "true"))
    cli.until_done(job_id)
    assert system.client.get_job(job_id).namespace == cli.client.id
    today = system.run("echo today")
    (info,) = cli.ask("/requester/list", id=today.id)["jobs"]
    assert info["State"]["State"] == "Completed" and info["State"]["Executions"][0]["RunOutput"]["stdout"] == "today\n"
    refusal = cli.http.post("/requester/cancel", content=cli.sign(JobID=today.id))
    assert refusal.status_code == 401
