"""A process that runs a container is killed with SIGKILL at some moment; the next one must end the same execution as if
nothing had happened: one start, one exit code, all output once.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bacalhau.lib.aio import crew, together
from bacalhau.lib.ids import new_execution_id, new_node_id
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import container_name
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.engine import EngineTask, Exit, Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task

SCRIPT = """
echo start >> /shared/starts
seq 1 3000
echo early >&2
printf '\\377\\000raw'
cat /shared/gate
seq 3001 6000
printf 'no newline'
exit 7
"""
STDOUT = (
    "".join(f"{n}\n" for n in range(1, 3001)).encode()
    + b"\xff\x00raw"
    + "".join(f"{n}\n" for n in range(3001, 6001)).encode()
    + b"no newline"
)

CHILD = """
import asyncio, sys
from pathlib import Path
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.engine import Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task

url, folder, execution_id, image, script = sys.argv[1:]

async def main():
    async with DockerEngine(url) as engine:
        await engine.check()
        print("running", flush=True)
        params = {"Image": image, "Entrypoint": ["sh", "-c"], "Parameters": [script]}
        task = make_task(Path(folder), execution_id, params, mounts=(Mount(Path(folder), "/shared", False),))
        print(await engine.run(task, ignore), flush=True)

asyncio.run(main())
"""

SWEPT = new_node_id()  # other sessions may run these tests on the same daemon


@pytest.fixture
def task(engine_image: str, tmp_path: Path) -> EngineTask:
    os.mkfifo(tmp_path / "gate")
    params = {"Image": engine_image, "Entrypoint": ["sh", "-c"], "Parameters": [SCRIPT]}
    return make_task(tmp_path, new_execution_id(), params, mounts=(Mount(tmp_path, "/shared", False),))


@contextmanager
def child_running(url: str, task: EngineTask) -> Iterator[subprocess.Popen[str]]:
    """Another process that has just called run."""
    words = [
        sys.executable,
        "-c",
        CHILD,
        url,
        str(task.stdout.parent),
        task.execution_id,
        str(task.params["Image"]),
        SCRIPT,
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "running\n"
            yield child
        finally:
            child.kill()


def open_gate(task: EngineTask) -> None:
    """Blocks until the task waits at its gate, then lets it through."""
    (task.stdout.parent / "gate").write_bytes(b"")


def check_end(task: EngineTask, end: Exit) -> None:
    assert end.code == 7
    assert "sha256:" in end.image
    assert task.stdout.read_bytes() == STDOUT
    assert task.stderr.read_bytes() == b"early\n"
    assert (task.stdout.parent / "starts").read_text() == "start\n"


async def end_with_a_new_engine(url: str, task: EngineTask) -> Exit:
    async with DockerEngine(url) as engine, crew() as c, asyncio.timeout(60):
        run = c.start(engine.run(task, ignore))
        await asyncio.to_thread(open_gate, task)
        return await run


@pytest.mark.parametrize("after", [0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5])
async def test_killed_at_any_moment(engine_url: str, task: EngineTask, after: float) -> None:
    with child_running(engine_url, task) as child, pytest.raises(subprocess.TimeoutExpired):
        child.wait(after)
    check_end(task, await end_with_a_new_engine(engine_url, task))


async def test_killed_and_the_container_ends_meanwhile(engine_url: str, task: EngineTask) -> None:
    api = DockerApi(engine_url)
    with child_running(engine_url, task) as child:
        reader = await asyncio.to_thread(os.open, task.stdout.parent / "gate", os.O_WRONLY)
        child.kill()
        child.wait(10)
        os.close(reader)
    assert await api.wait(container_name(task.execution_id)) == 7
    async with DockerEngine(engine_url) as engine:
        check_end(task, await engine.run(task, ignore))
    assert await api.inspect(container_name(task.execution_id)) is None
    await api.close()


async def test_killed_while_the_log_of_the_engine_loses_its_beginning(engine_url: str, task: EngineTask) -> None:
    """The bounds of both copies are small here; the child's are not, so its log is made here."""
    script = "echo begun; cat /shared/gate; seq 1 300000; printf 'the end'"
    task = task._replace(params=task.params | {"Parameters": [script]}, output_limit=100_000)
    async with DockerEngine(engine_url) as engine, crew() as c:
        run = c.start(engine.run(task, ignore))
        gate = await asyncio.to_thread(os.open, task.stdout.parent / "gate", os.O_WRONLY)
        while not task.stdout.read_bytes():
            await asyncio.wait([run], timeout=0.02)
        run.cancel()
        await asyncio.wait([run])
    os.close(gate)
    api = DockerApi(engine_url)
    assert await api.wait(container_name(task.execution_id)) == 0
    async with api.logs(container_name(task.execution_id), follow=False) as chunks:
        assert sum([len(chunk.data) async for chunk in chunks]) < 200_000
    await api.close()
    async with DockerEngine(engine_url) as engine:
        assert (await engine.run(task, ignore)).code == 0
    text = task.stdout.read_text()
    assert text.startswith("begun\n\n[output may be missing or repeated here") and text.endswith(
        "299999\n300000\nthe end"
    )
    assert text.count("299999\n") == 1 and len(text) < 110_000


async def test_killed_and_stopped_by_the_next_process(engine_url: str, task: EngineTask) -> None:
    with child_running(engine_url, task):
        writer = await asyncio.to_thread(os.open, task.stdout.parent / "gate", os.O_WRONLY)
    async with DockerEngine(engine_url) as engine:
        await engine.stop(task.execution_id, 0)
        await engine.stop(task.execution_id, 0)
    os.close(writer)
    api = DockerApi(engine_url)
    assert await api.inspect(container_name(task.execution_id)) is None
    await api.close()


class Line:
    """A socket before the daemon's that can be cut and mended. Requests with the bytes `spared` escape the cut."""

    def __init__(self, target: str, path: Path, spared: bytes = b"") -> None:
        self.target = target.removeprefix("unix://")
        self.spared = spared
        self.escaped = asyncio.Event()
        self.path = path
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self.server = await asyncio.start_unix_server(self._join, self.path)

    async def cut(self) -> None:
        self.server.close()
        self.path.unlink()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self.target)
        self.writers += [writer, far_writer]
        with contextlib.suppress(OSError):
            pair = (writer, far_writer)
            await together(self._copy(reader, far_writer, pair), self._copy(far_reader, writer, pair))

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        while data := await reader.read(65536):
            if self.spared and self.spared in data:
                self.escaped.set()
                self.writers = [w for w in self.writers if w not in pair]
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.mark.parametrize("mended_first", [True, False])
async def test_a_lost_daemon_is_found_again(engine_url: str, task: EngineTask, mended_first: bool) -> None:
    line = Line(engine_url, task.stdout.parent / "line.sock")
    await line.open()
    async with DockerEngine(f"unix://{line.path}") as engine, crew() as c, asyncio.timeout(60):
        run = c.start(engine.run(task, ignore))
        gate = await asyncio.to_thread(os.open, task.stdout.parent / "gate", os.O_WRONLY)
        await line.cut()
        if mended_first:
            await line.open()
        os.close(gate)
        await asyncio.wait({run}, timeout=0.5)
        if not mended_first:
            await line.open()
        check_end(task, await run)
    await line.cut()


async def test_output_that_was_cut_off_is_read_again_though_the_end_is_heard_of(
    engine_url: str, task: EngineTask
) -> None:
    line = Line(engine_url, task.stdout.parent / "line.sock", spared=b"/wait")
    await line.open()
    async with DockerEngine(f"unix://{line.path}") as engine, crew() as c, asyncio.timeout(60):
        run = c.start(engine.run(task, ignore))
        gate = await asyncio.to_thread(os.open, task.stdout.parent / "gate", os.O_WRONLY)
        await line.escaped.wait()
        await line.cut()
        await line.open()
        os.close(gate)
        check_end(task, await run)
    await line.cut()


async def is_running(api: DockerApi, task: EngineTask) -> bool:
    found = await api.inspect(container_name(task.execution_id))
    return found is not None and found["State"]["Status"] == "running"


async def test_sweep_takes_what_nobody_wants_and_leaves_the_rest(
    engine_url: str, engine_image: str, tmp_path: Path
) -> None:
    params = {"Image": engine_image, "Parameters": ["sleep", "600"]}
    wanted, unwanted = (make_task(tmp_path, new_execution_id(), params, node_id=SWEPT) for _ in range(2))
    async with DockerEngine(engine_url) as engine, crew() as c:
        runs = [c.start(engine.run(task, ignore)) for task in (wanted, unwanted)]
        assert await engine.sweep(SWEPT, frozenset()) == []
        api = DockerApi(engine_url)
        async with asyncio.timeout(30):
            # One that is listed may still be in the making, and go when who makes it leaves.
            while not all([await is_running(api, task) for task in (wanted, unwanted)]):
                await asyncio.wait(runs, timeout=0.02)
        for run in runs:
            run.cancel()
        await asyncio.wait(runs)
        assert await engine.sweep("n-other", frozenset()) == []
        assert await engine.sweep(SWEPT, frozenset({wanted.execution_id})) == [unwanted.execution_id]
        assert await engine.sweep(SWEPT, frozenset()) == [wanted.execution_id]
        assert await api.list_by_label(f"bacalhau-executor={SWEPT}") == []
        await api.close()
