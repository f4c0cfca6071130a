"""What the original's command line of today asks, request by request, in the bytes and with the headers of its Go
client.

The answers must have the shape that the original's own answers have in the recordings: a Go client reads no other.
"""

import base64
import json
import subprocess
from urllib.parse import quote

import httpx
import pytest
from websockets.sync.client import connect

from tests.api.test_golden import CASES, differences
from tests.support.ports import free_port
from tests.support.seed_client import SeedClient
from tests.support.system import System
from tests.support.until import until

HEADERS = {
    "User-Agent": "Go-http-client/1.1",
    "Accept-Encoding": "gzip",
    "X-Bacalhau-Git-Version": "v1.9.3",
    "X-Bacalhau-Git-Commit": "a" * 40,
    "X-Bacalhau-Build-Date": "2026-01-02 03:04:05 +0000 UTC",
    "X-Bacalhau-Build-OS": "linux",
    "X-Bacalhau-Arch": "amd64",
    "X-Bacalhau-InstallationID": "0b1c9f8e-0000-4000-8000-000000000001",
    "X-Bacalhau-InstanceID": "0b1c9f8e-0000-4000-8000-000000000002",
    "X-Bacalhau-App-ID": "bacalhau-cli",
}
# What Go leaves out when it is empty, and what is ours alone: a Go client passes over keys that it does not know.
NOT_ALWAYS = {
    "InputSources",
    "ResultPaths",
    "Params",
    "Message",
    "Details",
    "main",
    "LastOrchestratorSeqNum",
    "Unavailable",
    "Cures",
    "Native",
    "MaxExecutions",
}


class Cli:
    """Its habits: success is 200 with JSON and nothing else; every body carries three keys more; numbers have Go's
    types.
    """

    def __init__(self, system: System) -> None:
        self.http = httpx.Client(base_url=system.url + "/api/v1", headers=HEADERS, timeout=30)
        self.socket_url = system.url.replace("http", "ws") + "/api/v1/orchestrator/jobs"
        self.token = self._introduce()
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def get(self, path: str, **query: object) -> dict:
        return self._success(self.http.get(path, params=query))

    def send(self, method: str, path: str, **body: object) -> dict:
        return self._success(
            self.http.request(method, path, content=self.written(body), headers={"Content-Type": "application/json"})
        )

    def written(self, body: dict) -> bytes:
        credential = {"Scheme": "Bearer", "Value": self.token, "Params": None} if hasattr(self, "token") else None
        return (
            json.dumps(
                {"Namespace": "", "Credential": credential, "IdempotencyToken": ""} | body, separators=(",", ":")
            ).encode()
            + b"\n"
        )

    def _success(self, answer: httpx.Response) -> dict:
        assert answer.status_code == 200 and answer.content, answer.text
        return answer.json()

    def _introduce(self) -> str:
        """First contact without a stored token."""
        methods = self.get("/auth")["Methods"]
        phrase = base64.b64decode(methods["clientkey"]["params"]["InputPhrase"])
        user = SeedClient()
        inner = json.dumps({"PhraseSignature": user.sign(phrase.decode()), "PublicKey": user.public_key})
        answer = self.send(
            "POST", "/auth/clientkey", Name="clientkey", MethodData=base64.b64encode(inner.encode()).decode()
        )
        assert answer["Authentication"]["success"] is True
        return answer["Authentication"]["token"]

    def submit(self, job: dict) -> str:
        answer = self.send("PUT", "/orchestrator/jobs", Job=job, Force=False)
        assert answer.keys() == {"JobID", "EvaluationID", "Warnings"}
        assert answer["Warnings"] is None
        return answer["JobID"]

    def progress(self, job_id: str) -> list[dict]:
        """`docker run`: asks twice a second for what is new until the token is empty."""
        found: list[dict] = []
        token = ""

        def is_over() -> bool:
            nonlocal token
            page = self.get(f"/orchestrator/jobs/{job_id}/history", event_type="all", limit=10, next_token=token)
            found.extend(page["Items"])
            token = page["NextToken"]
            return not token

        until(is_over, f"{job_id} ends")
        return found

    def logs(self, job_id: str, *, follow: bool = False, execution_id: str = "") -> tuple[list[dict], int]:
        query = f"?execution_id={execution_id}&follow={str(follow).lower()}&tail=false"
        handshake = {
            name: value
            for name, value in self.http.headers.items()
            if name.startswith("x-bacalhau") or name == "authorization"
        }
        with connect(
            f"{self.socket_url}/{job_id}/logs{query}", additional_headers=handshake, user_agent_header=None
        ) as socket:
            frames = [json.loads(frame) for frame in socket]
            return frames, socket.close_code


@pytest.fixture(scope="module")
def system(anyio_backend, docker_url, docker_image, tmp_path_factory):
    settings = {"Publishers.Types.Local.Port": free_port()}
    with System(tmp_path_factory.mktemp("today"), docker_url, image=docker_image, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def cli(system):
    made = Cli(system)
    yield made
    made.http.close()


def go_job(system: System, script: str, *, name: str = "", **changes: object) -> dict:
    """As Go writes its struct: empty values where nothing was said."""
    params = {
        "Entrypoint": ["sh"],
        "EnvironmentVariables": None,
        "Image": system.image,
        "Parameters": ["-c", script],
        "WorkingDirectory": "",
    }
    task = {
        "Name": "main",
        "Engine": {"Type": "docker", "Params": params},
        "Publisher": {"Type": ""},
        "Resources": {},
        "Network": {"Type": "Default"},
        "Timeouts": {},
    }
    return {
        "ID": "",
        "Name": name,
        "Namespace": "",
        "Type": "batch",
        "Priority": 0,
        "Count": 1,
        "Constraints": None,
        "Meta": None,
        "Labels": None,
        "Tasks": [task],
        "State": {"StateType": "Undefined"},
        "Version": 0,
        "Revision": 0,
        "CreateTime": 0,
        "ModifyTime": 0,
    } | changes


def unlike(name: str, ours: object) -> set[str]:
    return {path for path in differences(CASES[name]["response"], ours) if path.rpartition(".")[2] not in NOT_ALWAYS}


def test_docker_run(cli, system):
    job_id = cli.submit(go_job(system, "echo out; echo err >&2; exit 3"))
    events = cli.progress(job_id)
    assert [item["SeqNum"] for item in events] == list(range(1, len(events) + 1))
    assert (
        events[0]["Event"]["Message"] == "Job submitted" and events[-1]["Event"]["Details"]["NewState"] == "Completed"
    )
    assert not unlike("api-history", {"NextToken": "", "Items": events})
    job = cli.get(f"/orchestrator/jobs/{job_id}")
    assert not unlike("api-job", job)
    assert job["Job"]["State"]["StateType"] == "Completed"
    assert job["Job"]["Meta"]["bacalhau.org/client.installation.id"] == HEADERS["X-Bacalhau-InstallationID"]
    executions = cli.get(f"/orchestrator/jobs/{job_id}/executions", order_by="")
    assert not unlike("api-executions", executions)
    (execution,) = executions["Items"]
    assert (execution["ComputeState"]["StateType"], execution["DesiredState"]["StateType"]) == (9, 2)
    assert execution["RunOutput"] == {
        "Stdout": "out\n",
        "StdoutTruncated": False,
        "stderr": "err\n",
        "StderrTruncated": False,
        "ExitCode": 3,
        "ErrorMsg": "",
    }


def test_job_describe_history_versions_and_list(cli, system):
    job_id = cli.submit(go_job(system, "true", name="seen"))
    cli.progress(job_id)
    assert not unlike("api-job-include", cli.get("/orchestrator/jobs/seen", include="executions,history"))
    assert not unlike(
        "api-history-exec",
        cli.get(f"/orchestrator/jobs/{job_id[:10]}/history", event_type="execution", limit=0, next_token=""),
    )
    (version,) = cli.get("/orchestrator/jobs/seen/versions", limit=10, order_by="", reverse="false", next_token="")[
        "Items"
    ]
    assert version.keys() == CASES["api-versions"]["response"]["Items"][0].keys()
    assert cli.get("/orchestrator/jobs/seen/results") == {"NextToken": "", "Items": []}
    listed = cli.get("/orchestrator/jobs", limit=10, labels="bacalhau_canary!=true")
    assert listed.keys() == {"NextToken", "Items"} and "seen" in [job["Name"] for job in listed["Items"]]
    by_id = cli.get("/orchestrator/jobs", limit=10, labels="bacalhau_canary!=true", order_by="id", reverse="true")[
        "Items"
    ]
    assert [job["ID"] for job in by_id] == sorted((job["ID"] for job in by_id), reverse=True)


def test_versions_rerun_and_dry_run(cli, system):
    first = go_job(system, "echo one", name="again")
    job_id = cli.submit(first)
    cli.progress(job_id)
    assert cli.send("PUT", "/orchestrator/jobs/diff", Job=first) == {"Diff": "", "Warnings": None}
    second = go_job(system, "echo two", name="again")
    lines = cli.send("PUT", "/orchestrator/jobs/diff", Job=second)["Diff"].splitlines()
    assert [line[0] for line in lines if "echo" in line] == ["-", "+"]
    missing = cli.http.put(
        "/orchestrator/jobs/diff", content=cli.written({"Job": go_job(system, "true", name="nowhere")})
    )
    assert missing.status_code == 404
    answer = cli.send("PUT", "/orchestrator/jobs/again/rerun", JobID="again", JobVersion=0, Reason="")
    assert (answer["JobID"], answer["JobVersion"], answer["Warnings"]) == (job_id, 2, None) and answer["EvaluationID"]
    events = cli.progress(job_id)
    recorded = CASES["api-history"]["response"]["Items"][0]["Event"]
    assert {key: events[0]["Event"][key] for key in ("Message", "Topic", "Details")} == {
        key: recorded[key] for key in ("Message", "Topic", "Details")
    }
    assert {item["JobVersion"] for item in events} == {2}
    assert cli.submit(second) == job_id
    cli.progress(job_id)
    versions = cli.get("/orchestrator/jobs/again/versions")["Items"]
    assert [(item["Version"], item["State"]["StateType"]) for item in versions] == [
        (1, "Completed"),
        (2, "Completed"),
        (3, "Completed"),
    ]
    outputs = {
        e["JobVersion"]: e["RunOutput"]["Stdout"]
        for e in cli.get("/orchestrator/jobs/again/executions", all_job_versions="true")["Items"]
    }
    assert outputs == {1: "one\n", 2: "one\n", 3: "two\n"}
    assert [e["JobVersion"] for e in cli.get("/orchestrator/jobs/again/executions", job_version=1)["Items"]] == [1]


def test_a_name_with_a_slash_is_escaped(cli, system):
    job_id = cli.submit(go_job(system, "true", name="a/b c"))
    assert cli.get(f"/orchestrator/jobs/{quote('a/b c', safe='')}")["Job"]["ID"] == job_id


def test_job_logs(cli, system):
    job_id = cli.submit(go_job(system, "echo one; echo two >&2; sleep 0.3; echo three"))
    frames, code = cli.logs(job_id, follow=True)
    assert code == 1000
    assert all(frame.keys() == {"value"} and frame["value"].keys() == {"Type", "Line"} for frame in frames)
    assert "".join(frame["value"]["Line"] for frame in frames if frame["value"]["Type"] == 1) == "one\nthree\n"
    assert "".join(frame["value"]["Line"] for frame in frames if frame["value"]["Type"] == 2) == "two\n"
    cli.progress(job_id)
    again, code = cli.logs(job_id)
    assert (
        code == 1000
        and "".join(frame["value"]["Line"] for frame in again if frame["value"]["Type"] == 1) == "one\nthree\n"
    )
    (error,), code = cli.logs("j-nope")
    assert (error["value"], code) == ({"Type": 0, "Line": ""}, 1000)
    assert "job not found" in error["error"]


def test_job_stop(cli, system):
    job_id = cli.submit(go_job(system, "sleep 600"))
    until(lambda: cli.get(f"/orchestrator/jobs/{job_id}")["Job"]["State"]["StateType"] == "Running", f"{job_id} runs")
    answer = cli.send("DELETE", f"/orchestrator/jobs/{job_id}", reason="enough")
    assert answer.keys() == {"EvaluationID"} and answer["EvaluationID"]
    assert cli.get(f"/orchestrator/jobs/{job_id}")["Job"]["State"] == {"StateType": "Stopped", "Message": "enough"}
    assert cli.progress(job_id)[-1]["JobID"] == job_id
    assert cli.send("DELETE", f"/orchestrator/jobs/{job_id}", reason="again") == {"EvaluationID": ""}


def test_job_get_of_results_kept_on_the_node(cli, system, tmp_path):
    job = go_job(system, "echo kept > /outputs/file")
    job["Tasks"][0] |= {"Publisher": {"Type": "local"}, "ResultPaths": [{"Name": "outputs", "Path": "/outputs"}]}
    job_id = cli.submit(job)
    assert cli.progress(job_id)[-1]["Event"]["Message"] == "Completed"
    (result,) = cli.get(f"/orchestrator/jobs/{job_id}/results")["Items"]
    assert (result["Type"], list(result["Params"])) == ("urlDownload", ["URL"])
    archive = tmp_path / "results.tar.gz"
    archive.write_bytes(httpx.get(result["Params"]["URL"]).content)
    listed = subprocess.run(
        ["tar", "-xzOf", archive, "--wildcards", "*outputs/file"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == "kept\n"


def test_failures_are_what_it_can_show(cli, system):
    for method, path, body, status in (
        ("GET", "/orchestrator/jobs/j-nope", None, 404),
        ("PUT", "/orchestrator/jobs", {"Job": go_job(system, "true", Type="")}, 400),
        ("DELETE", "/orchestrator/jobs/j-nope", {"reason": ""}, 404),
        ("GET", "/orchestrator/nodes/n-nope", None, 404),
    ):
        answer = cli.http.request(method, path, content=None if body is None else cli.written(body))
        told = answer.json()
        assert (answer.status_code, told["Status"]) == (status, status)
        assert all(isinstance(told[key], str) for key in ("Message", "RequestID", "Code", "Component"))


def test_nodes_and_agent(cli, system):
    (node,) = cli.get(
        "/orchestrator/nodes", **{"filter-approval": "", "filter-status": "", "labels": "", "limit": 0, "order_by": ""}
    )["Nodes"]
    assert not unlike("api-node1", {"Node": node})
    assert cli.get(f"/orchestrator/nodes/{system.node_id[:10]}")["Node"]["Info"]["NodeID"] == system.node_id
    refusal = cli.http.put(
        f"/orchestrator/nodes/{system.node_id}",
        content=cli.written({"Action": "approve", "Message": "", "NodeID": system.node_id}),
    )
    assert (refusal.status_code, refusal.json()["Code"]) == (409, "ConflictNodeState")
    assert not unlike("api-node", cli.get("/agent/node"))
    assert cli.get("/agent/version").keys() == CASES["api-version"]["response"].keys()
    assert cli.get("/agent/alive") == {"Status": "OK"}
    assert cli.get("/agent/authconfig") == {"Version": "1.0.0", "Config": {}}
    assert cli.get("/agent/config")["config"]["API"]["Port"] == system.port


def test_asking_all_the_time_is_never_too_often(cli):
    for _ in range(1500):
        assert cli.http.get("/agent/alive").status_code == 200
