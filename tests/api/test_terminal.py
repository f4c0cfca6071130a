"""Commands that show texts of strangers, against a server whose jobs, nodes and errors hold control characters."""

import asyncio
import json

import msgspec
import pytest
import yaml

from bacalhau.border.names import has_control
from bacalhau.cli.frame.program import run
from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution, RunCommandResult
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import CONNECTED, ConnectionState, NodeInfo, NodeState
from tests.api.room import open_room
from tests.support.scripted_api import answer, scripted_api

EVIL = "\x1b]0;evil\x07\x9b31m\u202etxt\x7f\rfake"
NODE = "n-evil"
SHOWN = [
    ["list"],
    ["list", "--wide"],
    ["list", "--output", "csv"],
    ["list", "--output", "json"],
    ["job", "list"],
    ["job", "list", "--wide"],
    ["job", "list", "--output", "csv"],
    ["job", "list", "--output", "json"],
    ["job", "list", "--output", "json", "--pretty"],
    ["job", "list", "--output", "yaml"],
    ["describe", "JOB"],
    ["describe", "JOB", "--json"],
    ["job", "describe", "JOB"],
    ["job", "describe", "JOB", "--output", "json"],
    ["job", "describe", "JOB", "--output", "yaml"],
    ["job", "executions", "JOB"],
    ["job", "executions", "JOB", "--output", "yaml"],
    ["job", "history", "JOB"],
    ["job", "history", "JOB", "--output", "csv"],
    ["job", "versions", "JOB"],
    ["job", "explain", "JOB"],
    ["node", "list"],
    ["node", "list", "--show", "labels,version"],
    ["node", "list", "--output", "csv"],
    ["node", "list", "--output", "yaml"],
    ["node", "describe", NODE],
    ["agent", "version"],
    ["version"],
]


async def fill(room) -> str:
    """Store a job, its executions and a node, as an older version or another program may have left them."""
    job_id = await room.submit(Name="a")
    job = await room.orch.store.find_job(job_id)
    now = now_ns()
    evil = msgspec.structs.replace(
        job,
        name=EVIL,
        labels={EVIL: EVIL},
        state=JobState(state_type=JobStateType.FAILED, message=EVIL),
        revision=job.revision + 1,
    )
    execution = Execution(
        id="e-00000000-0000-0000-0000-000000000000",
        job_id=job_id,
        job_version=1,
        node_id=NODE,
        revision=1,
        compute_state=ComputeState(state_type=ComputeStateType.FAILED, message=EVIL),
        create_time=now,
        modify_time=now,
        run_output=RunCommandResult(stdout=EVIL, stderr=EVIL, exit_code=1, error_msg=EVIL),
    )
    event = make_event(Topic.EXECUTION, EVIL, now)
    history = (
        HistoryEntry(job_id=job_id, job_version=1, event=event, execution_id=execution.id),
        HistoryEntry(job_id=job_id, job_version=1, event=event),
    )
    await room.orch.commit(Change(jobs=(evil,), new_executions=(execution,), history=history))
    info = NodeInfo(node_id=NODE, labels={EVIL: EVIL})
    node = NodeState(info=info, connection=CONNECTED, connection_state=ConnectionState(status=CONNECTED), native=True)
    room.orch.cluster.put(node, now)
    return job_id


def is_clean(text: str) -> bool:
    return not has_control(text.replace("\n", "").replace("\t", ""))


@pytest.fixture
async def cli(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))

    async def call(url, *args):
        monkeypatch.setenv("BACALHAU_API_HOST", url)
        code = await asyncio.to_thread(run, list(args))
        return code, *capsys.readouterr()

    return call


async def test_no_command_hands_control_characters_to_the_terminal(cli, tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await fill(room)
        for command in SHOWN:
            code, out, err = await cli(room.url, *(job_id if word == "JOB" else word for word in command))
            assert (code, is_clean(out), is_clean(err)) == (0, True, True), (command, out, err)
            assert "evil" in out or command[0] in ("list", "version", "agent") or "versions" in command, command
            if {"json", "--json"} & {*command}:
                assert EVIL in texts(json.loads(out)) or command[0] == "list"
            if "yaml" in command:
                assert EVIL in texts(yaml.safe_load(out))


def texts(tree) -> list[str]:
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in [key, *texts(value)]]
    return [text for value in tree for text in texts(value)] if isinstance(tree, list) else [tree]


@pytest.mark.parametrize("command", [["job", "list"], ["job", "describe", "j-1"], ["node", "list"], ["version"]])
async def test_errors_of_a_server_are_shown_escaped(cli, command):
    async def fail(request):
        return answer({"Status": 500, "Message": EVIL, "Component": EVIL, "Hint": EVIL}, 500)

    async with scripted_api(fail) as url:
        code, out, err = await cli(url, *command)
    assert code == 1 and is_clean(out) and is_clean(err)
    assert r"\x1b]0;evil\x07\x9b31m\u202etxt\x7f\rfake" in err
