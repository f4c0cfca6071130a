"""The tutorial "Running a job over S3 data", command by command, against real parts on this machine.

It starts what is missing (a Docker daemon, S3, the system itself), types the tutorial's commands, and stops what it
started.
"""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bacalhau.app.dockerd import docker_available, ensure_image
from bacalhau.app.sample import RESULT_BUCKET, SAMPLE_CID, SAMPLE_INPUT
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.ports import free_ports
from bacalhau.lib.wire import decode

START_LIMIT = 90.0  # seconds
STOP_LIMIT = 30.0
READY = "Devstack is ready!"
Say = Callable[[str], None]


class DemoFailed(BacalhauError):
    """A command of the tutorial did not do what the tutorial says."""


async def run_demo(folder: Path, say: Say) -> None:
    """Run the tutorial. Raises the first failure; everything started here is stopped either way."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        docker = await stack.enter_async_context(docker_available(folder / "docker", say))
        image = await ensure_image(docker, say)
        environment = dict(os.environ) | {
            "DOCKER_HOST": docker,
            "BACALHAU_DIR": str(folder / "client"),
            "BACALHAU_API_HOST": "127.0.0.1",
        }
        api, bus = free_ports(2)
        environment["BACALHAU_API_PORT"] = str(api)
        await stack.enter_async_context(_running_devstack(folder, environment, bus, say))
        await _Tutorial(folder, environment, image, say).run()
    say(f"\nDone in {time.monotonic() - began:.0f} s.")


@asynccontextmanager
async def _running_devstack(folder: Path, environment: dict[str, str], bus: int, say: Say) -> AsyncIterator[None]:
    command = [
        "devstack",
        "--compute-nodes",
        "1",
        "--s3",
        "--stack-repo",
        str(folder / "stack"),
        "-c",
        f"API.Port={environment['BACALHAU_API_PORT']}",
    ]
    command += ["-c", f"Orchestrator.Port={bus}"]
    say(f"$ bacalhau {shlex.join(command[:4])} &")
    log = folder / "devstack.log"
    with log.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            *_program(), *command, stdout=asyncio.subprocess.PIPE, stderr=out, env=environment
        )
    try:
        await _until_ready(child, log)
        yield
    finally:
        if child.returncode is None:
            child.terminate()
            async with asyncio.timeout(STOP_LIMIT):
                await child.communicate()


async def _until_ready(child: asyncio.subprocess.Process, log: Path) -> None:
    assert child.stdout
    try:
        async with asyncio.timeout(START_LIMIT):
            while line := await child.stdout.readline():
                if READY in line.decode():
                    return
    except TimeoutError as e:
        raise Unavailable(f"the devstack was not ready within {START_LIMIT:.0f} s", hint=f"its log is {log}") from e
    tail = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise Unavailable(f"the devstack did not start: {' '.join(tail)}")


def _program() -> list[str]:
    """This very program, however it was started."""
    return [sys.executable, "-c", "from bacalhau.cli.main import main; main()"]


class _Tutorial:
    def __init__(self, folder: Path, environment: dict[str, str], image: str, say: Say) -> None:
        self._folder, self._environment, self._image, self._say = folder, environment, image, say

    async def run(self) -> None:
        copy = [self._image, "--", "sh", "-c", "cp -r /inputs/* /outputs/"]
        job = (await self._type("docker", "run", "-i", SAMPLE_INPUT, "--id-only", "--wait", *copy)).strip()
        await self._type("list", "--id-filter", job, "--wide")
        await self._type("describe", job)
        cid = _results(await self._quietly("describe", job, "--json"))[0].get("CID", "")
        self._say(
            f"\n$ bacalhau describe {job} --json | jq -r '.State.Executions[].PublishedResults.CID | select (. !="
            f" null)'\n{cid}"
        )
        (self._folder / "results").mkdir(exist_ok=True)
        await self._type("get", job, "--output-dir", "results")
        names = sorted(p.name for p in (self._folder / "results" / "outputs").iterdir())
        self._say("\n$ ls -1 results/outputs\n" + "\n".join(names))
        published = await self._publish_to_s3()
        self._check(cid, len(names))
        self._say(f"\nCID of the first run:            {cid}")
        self._say(f"S3 object of the second run:     s3://{published['Bucket']}/{published['Key']}")
        self._say(f"its SHA-256 (base64, verified):  {published['ChecksumSHA256']}")

    async def _publish_to_s3(self) -> dict[str, str]:
        command = [
            "docker",
            "run",
            "-p",
            f"s3://{RESULT_BUCKET}/result-{{date}}-{{jobID}}",
            "--id-only",
            "--wait",
            self._image,
        ]
        job = (
            await self._type(*command, "--", "sh", "-c", "mkdir -p /outputs/d; echo hello > /outputs/d/h.txt")
        ).strip()
        result: dict[str, dict[str, str]] = _results(await self._quietly("describe", job, "--json"))[0]
        (self._folder / "results-s3").mkdir(exist_ok=True)
        await self._type("get", job, "--output-dir", "results-s3")
        return result["S3"]

    def _check(self, cid: str, count: int) -> None:
        if (cid, count) != (SAMPLE_CID, 20):
            raise DemoFailed(f"the tutorial's run gave {count} files and CID {cid}; it must give 20 and {SAMPLE_CID}")

    async def _type(self, *command: str) -> str:
        """One command as the tutorial shows it, with what it prints."""
        self._say(f"\n$ bacalhau {shlex.join(command)}")
        output = await self._quietly(*command)
        self._say(output.rstrip("\n"))
        return output

    async def _quietly(self, *command: str) -> str:
        child = await asyncio.create_subprocess_exec(
            *_program(),
            *command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await child.communicate()
        if child.returncode:
            raise DemoFailed(f"bacalhau {shlex.join(command)} exited with {child.returncode}")
        return output.decode()


def _results(described: str) -> list[dict[str, Any]]:
    executions = decode(described, dict[str, Any])["State"]["Executions"]
    return [e["PublishedResults"] for e in executions if e["PublishedResults"]]
