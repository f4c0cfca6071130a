"""What every engine must do, on each of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bacalhau.lib.aio import crew, together
from bacalhau.lib.errors import EngineFailure
from bacalhau.lib.ids import new_execution_id
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.ports.engine import Engine
from bacalhau.ports.progress import ignore
from tests.support.docker import NODE_ID, make_task


class Rig(NamedTuple):
    engine: Engine
    says_hello_exits_3: dict[str, Any]
    lasts: dict[str, Any]
    wrong: dict[str, Any]


@asynccontextmanager
async def noop_rig() -> AsyncIterator[Rig]:
    yield Rig(NoopEngine(), {"Stdout": "hello\n", "ExitCode": 3}, {"Sleep": 600}, {"Sleep": [1]})


@asynccontextmanager
async def docker_rig(url: str, image: str) -> AsyncIterator[Rig]:
    shell = {"Image": image, "Entrypoint": ["sh", "-c"]}
    async with DockerEngine(url) as engine:
        yield Rig(
            engine,
            shell | {"Parameters": ["echo hello; exit 3"]},
            shell | {"Parameters": ["sleep 600"]},
            shell | {"Parameters": {"a": 1}},
        )
    api = DockerApi(url)
    assert await api.list_by_label(f"bacalhau-executor={NODE_ID}") == []
    await api.close()


@pytest.fixture(params=["noop", "docker", "podman"])
def rig(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Rig]:
    if request.param == "noop":
        return noop_rig()
    url, image = (request.getfixturevalue(f"{request.param}_{what}") for what in ("url", "image"))
    return docker_rig(url, image)


async def stop_until_ended(engine: Engine, execution_id: str, run: "asyncio.Task[Any]") -> None:
    async with asyncio.timeout(60):
        while not run.done():
            await engine.stop(execution_id, 0)
            await asyncio.wait({run}, timeout=0.05)


async def test_a_ready_engine_passes_its_check(rig: AbstractAsyncContextManager[Rig]) -> None:
    async with rig as r:
        await r.engine.check()
        await r.engine.check()


async def test_exit_code_and_output_are_those_of_the_task(
    rig: AbstractAsyncContextManager[Rig], tmp_path: Path
) -> None:
    async with rig as r:
        task = make_task(tmp_path, new_execution_id(), r.says_hello_exits_3)
        end = await r.engine.run(task, ignore)
        assert end.code == 3
        assert task.stdout.read_bytes() == b"hello\n"
        assert task.stderr.read_bytes() == b""


async def test_earlier_output_is_replaced_not_added_to(rig: AbstractAsyncContextManager[Rig], tmp_path: Path) -> None:
    async with rig as r:
        task = make_task(tmp_path, new_execution_id(), r.says_hello_exits_3)
        task.stdout.write_text("from an attempt before " * 10)
        for _ in range(2):
            assert (await r.engine.run(task, ignore)).code == 3
            assert task.stdout.read_bytes() == b"hello\n"


async def test_many_run_side_by_side(rig: AbstractAsyncContextManager[Rig], tmp_path: Path) -> None:
    async with rig as r:
        tasks = [make_task(tmp_path, new_execution_id(), r.says_hello_exits_3) for _ in range(6)]
        ends = await together(*(r.engine.run(task, ignore) for task in tasks))
        assert [end.code for end in ends] == [3] * 6
        assert all(task.stdout.read_bytes() == b"hello\n" for task in tasks)


async def test_stop_ends_a_task_and_its_run_returns(rig: AbstractAsyncContextManager[Rig], tmp_path: Path) -> None:
    async with rig as r, crew() as c:
        task = make_task(tmp_path, new_execution_id(), r.lasts)
        run = c.start(r.engine.run(task, ignore))
        await stop_until_ended(r.engine, task.execution_id, run)
        assert run.result().code != 0
        await r.engine.stop(task.execution_id, 0)


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3])
async def test_one_stop_at_any_time_is_enough(
    rig: AbstractAsyncContextManager[Rig], tmp_path: Path, delay: float
) -> None:
    async with rig as r, crew() as c, asyncio.timeout(60):
        task = make_task(tmp_path, new_execution_id(), r.lasts)
        run = c.start(r.engine.run(task, ignore))
        await asyncio.wait({run}, timeout=delay)
        await r.engine.stop(task.execution_id, 0)
        assert (await run).code != 0


async def test_stopping_what_is_not_there_is_fine(rig: AbstractAsyncContextManager[Rig]) -> None:
    async with rig as r:
        await r.engine.stop(new_execution_id(), 0)


async def test_a_cancelled_run_can_be_run_again_and_stopped(
    rig: AbstractAsyncContextManager[Rig], tmp_path: Path
) -> None:
    async with rig as r, crew() as c:
        task = make_task(tmp_path, new_execution_id(), r.lasts)
        first = c.start(r.engine.run(task, ignore))
        await asyncio.wait({first}, timeout=0.2)
        first.cancel()
        await asyncio.wait({first})
        again = c.start(r.engine.run(task, ignore))
        await stop_until_ended(r.engine, task.execution_id, again)
        assert again.result().code != 0


async def test_parameters_of_another_kind_are_refused(rig: AbstractAsyncContextManager[Rig], tmp_path: Path) -> None:
    async with rig as r:
        with pytest.raises(EngineFailure, match=r"Sleep|Parameters"):
            await r.engine.run(make_task(tmp_path, new_execution_id(), r.wrong), ignore)
