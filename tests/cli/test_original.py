"""Our command line against a server of the original: requests it understands, nothing that needs our extensions, clear
words where it lacks something.
"""

import asyncio
import json
from pathlib import Path

import pytest

from bacalhau.cli.frame.program import run
from tests.support.original import RECORDED, original_server

RECORDINGS = Path(__file__).with_name("original_api.jsonl")
JOB = "Name: apijob\nType: batch\nTasks:\n- Name: main\n  Engine: {Type: docker, Params: {Image: i}}\n"


@pytest.fixture
async def server(tmp_path, monkeypatch):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    async with original_server(RECORDINGS) as (url, seen):
        monkeypatch.setenv("BACALHAU_API_HOST", url)
        yield seen
    assert seen.strange == []


@pytest.fixture
def cli(server, capsys):
    """Exit code, stdout and stderr of a command in this process, beside the server's loop."""

    async def call(*args):
        code = await asyncio.to_thread(run, [str(arg) for arg in args])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


async def test_the_agent_and_the_version(cli):
    assert (await cli("agent", "alive"))[:2] == (0, "Status: OK\n")
    code, out, _ = await cli("agent", "node", "--output", "json")
    assert code == 0 and json.loads(out)["NodeID"].startswith("n-")
    code, out, _ = await cli("agent", "version")
    assert code == 0 and out.startswith("Bacalhau v0.0.0-xxxxxxx\n")
    code, out, _ = await cli("version")
    assert code == 0 and out.split()[:2] == ["CLIENT", "SERVER"]


async def test_the_servers_configuration(cli):
    code, out, _ = await cli("agent", "config", "--output", "json")
    assert code == 0 and json.loads(out)["API"]["Port"] == 1234 and out.startswith('{\n  "')
    _, out, _ = await cli("agent", "config", "--output", "json", "--pretty=false")
    assert out.startswith('{"') and out.count("\n") == 1
    code, out, _ = await cli("agent", "config")
    assert code == 0 and "\nDataDir: " in out


async def test_lists_of_jobs_and_nodes(cli, server):
    code, out, err = await cli("job", "list", "--limit", "1", "--output", "csv")
    assert code == 0 and out.splitlines()[0] == "created,id,name,job,type,state"
    assert "bacalhau job list --limit 1 --next-token Ok46MTox" in err
    code, out, _ = await cli("node", "list", "--output", "csv")
    assert code == 0 and out.splitlines()[0] == "id,type,approval,status,labels,cpu,memory,disk,gpu"
    assert "APPROVED,CONNECTED" in out
    code, out, _ = await cli("node", "describe", "n-8a9a051c")
    assert code == 0 and "  NodeID: n-8a9a051c-4064-44a5-b91e-d77b68083704\n" in out


async def test_one_job_in_every_light(cli):
    code, out, _ = await cli("job", "describe", RECORDED)
    assert code == 0 and f"ID            = {RECORDED}\n" in out and "Standard Output" in out
    code, out, _ = await cli("job", "executions", RECORDED, "--output", "json")
    assert code == 0 and json.loads(out)[0]["JobID"] == RECORDED
    code, out, _ = await cli("job", "history", RECORDED, "--output", "csv")
    assert (
        code == 0 and out.startswith("Time,Level,Job Version,Exec. ID,Topic,Event\n") and "Job rerun requested" in out
    )
    code, out, _ = await cli("job", "versions", "j-c042b8b7-4177-4a1f-9733-e6594b7cd70f")
    assert code == 0 and [line.split()[-1] for line in out.splitlines()] == ["VERSION", "1", "2", "3"]
    assert (await cli("job", "logs", RECORDED))[:2] == (0, "out\nerr\n")
    assert (await cli("logs", RECORDED)) == (0, "out\n", "err\n")
    code, out, _ = await cli("describe", RECORDED, "--json")
    assert code == 0 and json.loads(out)["Job"]["Metadata"]["ID"] == RECORDED


@pytest.mark.parametrize("command", ["describe", "executions", "history", "logs", "stop", "get", "versions", "rerun"])
async def test_a_job_nobody_knows(cli, command):
    code, _, err = await cli("job", command, "j-nope")
    assert code == 1 and ("job not found: j-nope" in err or "The requested resource/URL was not found" in err)


async def test_a_job_is_submitted_and_waited_for(cli, server, job_file):
    code, out, _ = await cli(
        "docker", "run", "-i", "s3://b/k:/in", "-e", "A=b", "-l", "a=b", "alpine:3", "--", "echo", "hi"
    )
    assert code == 0 and out.startswith("Job successfully submitted. Job ID: j-fe8e1976-")
    code, out, _ = await cli("job", "run", "--id-only", job_file)
    assert (code, out) == (0, "j-fe8e1976-3f2f-4ccb-8362-b49429b9e248\n")
    code, out, _ = await cli("job", "run", "--follow", "--exit-code", job_file)
    assert code == 0 and "Waiting for logs..." in out and "out\n" in out
    methods = {(method, path) for method, path, *_ in server.asked}
    assert ("PUT", "orchestrator/jobs") in methods


async def test_again_and_what_would_change(cli, job_file):
    code, out, _ = await cli("job", "rerun", RECORDED)
    assert code == 0 and out.startswith(f"Job successfully submitted. Job ID: {RECORDED}\n")
    code, out, _ = await cli("job", "run", "--dry-run", job_file)
    assert code == 0 and "- \tPriority:    0,\n+ \tPriority:    5,\n" in out


async def test_a_node_is_decided_about(cli, server):
    code, out, err = await cli("node", "approve", "n-8a9a051c-4064-44a5-b91e-d77b68083704", "-m", "ours")
    assert (code, out) == (1, "")
    assert err.startswith(
        "Error: Failed to approve node n-8a9a051c-4064-44a5-b91e-d77b68083704: node"
        " n-8a9a051c-4064-44a5-b91e-d77b68083704 already approved\n"
    )
    assert server.asked[-1][3] == {
        "Action": "approve",
        "Message": "ours",
        "NodeID": "n-8a9a051c-4064-44a5-b91e-d77b68083704",
    }


async def test_a_stopped_job_cannot_be_stopped(cli):
    code, _, err = await cli("job", "stop", RECORDED)
    assert code == 1 and "Job is already in a terminal state.\nThe current state is: Completed" in err
