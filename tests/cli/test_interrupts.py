"""Ctrl-C and SIGTERM at any command: the exit code of a shell, no traceback, and a word about what goes on."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from aiohttp import web

from tests.support.scripted_api import answer, scripted_api
from tests.support.system import PROGRAM, bare_environment

JOB = {"Job": {"ID": "j-1", "Name": "n", "Type": "batch", "Count": 1, "State": {"StateType": "Running"}}}
PUT = {"JobID": "j-1", "EvaluationID": "v"}
RESULT = {"Items": [{"Type": "ipfs", "Params": {"CID": "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"}}]}
GOES_ON = {
    "docker": "job j-1 goes on; `bacalhau cancel j-1` stops it\n",
    "job": "job j-1 goes on; `bacalhau job stop j-1` stops it\n",
}
COMMANDS = [
    ["docker", "run", "--id-only", "i:1"],
    ["docker", "run", "i:1"],
    ["job", "run", "--id-only", "job.yaml"],
    ["job", "run", "-f", "job.yaml"],
    ["logs", "-f", "j-1"],
    ["get", "j-1", "--output-dir", "."],
]


def silent_after(known, asked):
    """A server that answers these ends of paths, and for all else says nothing, ever."""

    async def handle(request):
        for end, body in known.items():
            if f"{request.method} {request.path}".endswith(end):
                return answer(body)
        if request.path.endswith("/logs"):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_json({"value": {"Type": 1, "Line": "a\n"}})
        asked.set()
        await asyncio.Event().wait()

    return handle


async def start(*command, url, folder):
    host, port = url.removeprefix("http://").split(":")
    environment = bare_environment(folder) | {
        "BACALHAU_API_HOST": host,
        "BACALHAU_API_PORT": port,
        "BACALHAU_DIR": str(folder / "client"),
    }
    # A suite in the background of a shell inherits an ignored Ctrl-C, which a command goes on ignoring.
    return await asyncio.create_subprocess_exec(
        "env",
        "--default-signal=INT",
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
    )


async def interrupt(child, number):
    child.send_signal(number)
    out, err = await child.communicate()
    return child.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [(command, signal.SIGINT, 130) for command in COMMANDS]
    + [(command, signal.SIGTERM, 143) for command in COMMANDS[:2]],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(int(value)),
)
async def test_a_signal_ends_a_command_that_waits(command, number, code, tmp_path):
    (tmp_path / "job.yaml").write_text("Name: n\nType: batch\nTasks: [{Name: main, Engine: {Type: noop}}]\n")
    asked = asyncio.Event()
    known = {"PUT /api/v1/orchestrator/jobs": PUT, "GET /api/v1/orchestrator/jobs/j-1": JOB, "/results": RESULT}
    async with scripted_api(silent_after(known, asked)) as url:
        child = await start(PROGRAM, *command, url=url, folder=tmp_path)
        await asked.wait()
        ended, out, err = await interrupt(child, number)
    assert (ended, "Traceback" in err, "Exception" in err) == (code, False, False), err
    if "--id-only" in command:
        assert (out, err) == ("j-1\n", GOES_ON[command[0]])
    elif "run" in command:
        assert "the job is still running" in out


async def test_a_signal_before_the_server_has_answered_a_submission(tmp_path):
    asked = asyncio.Event()
    async with scripted_api(silent_after({}, asked)) as url:
        child = await start(PROGRAM, "docker", "run", "--id-only", "i:1", url=url, folder=tmp_path)
        await asked.wait()
        ended, out, err = await interrupt(child, signal.SIGINT)
    assert (ended, out) == (130, "")
    assert err == "interrupted before the server answered; `bacalhau job list` shows whether the job is there\n"


async def test_a_signal_at_a_question(tmp_path):
    url = "http://127.0.0.1:1"
    saved = await start(PROGRAM, "profile", "save", "p", "--endpoint", url, "--select", url=url, folder=tmp_path)
    await saved.communicate()
    child = await start(PROGRAM, "profile", "delete", "p", url=url, folder=tmp_path)
    await child.stdout.readuntil(b"[y/N]: ")
    assert await interrupt(child, signal.SIGINT) == (130, "", "\n")
    assert (tmp_path / "client" / "profiles" / "p.yaml").exists()


LIBRARY = """
from bacalhau import Client
with Client() as client:
    try:
        {use}
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
    print(client.get_job("j-1").id)
"""
USES = {
    "logs": "[print(text, end='', flush=True) for _, text in client.logs('j-1', follow=True)]",
    "wait": "client.wait('j-1')",
    "get": "client.get('j-1', 'made/by/itself')",
    "history": "list(client.iter_history('j-1'))",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_ctrl_c_in_a_program_is_a_keyboard_interrupt_and_the_client_is_still_good(use, tmp_path):
    asked = asyncio.Event()
    known = {"GET /api/v1/orchestrator/jobs/j-1": JOB, "/results": RESULT}
    async with scripted_api(silent_after(known, asked)) as url:
        child = await start(sys.executable, "-c", LIBRARY.format(use=use), url=url, folder=tmp_path)
        await asked.wait()
        if "logs" in use:
            assert await child.stdout.readline() == b"a\n"
        ended, out, err = await interrupt(child, signal.SIGINT)
    assert (ended, out, err) == (0, "KeyboardInterrupt\nj-1\n", "")
    assert os.path.isdir(tmp_path / "made/by/itself") == ("get" in use)


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("click", ["--help"]),
        ("click", ["docker", "run", "i:1"]),
        ("httpx", ["list"]),
        ("yaml", ["validate", "job.yaml"]),
    ],
)
async def test_a_signal_while_the_program_is_being_loaded(module, command, tmp_path):
    """A module that never ends loading stands for any that is loaded at that moment."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / f"{module}.py").write_text("import os, signal\nos.write(1, b'loading')\nsignal.pause()\n")
    (tmp_path / "job.yaml").write_text("Name: n\n")
    child = await start(
        "env", f"PYTHONPATH={tmp_path / 'slow'}", PROGRAM, *command, url="http://127.0.0.1:1", folder=tmp_path
    )
    assert await child.stdout.readexactly(7) == b"loading"
    code, out, err = await interrupt(child, signal.SIGINT)
    assert (code, out, err.strip()) == (130, "", "")
