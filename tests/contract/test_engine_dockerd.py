"""Finding a Docker API, starting a private daemon, and an image for a place without a registry."""

import tempfile
from pathlib import Path

import pytest

from bacalhau.app.dockerd import _private_daemon, docker_available, ensure_image, find_docker
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.network import NetworkConfig
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task


async def test_docker_host_names_the_daemon(docker_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_url)
    assert find_docker() == docker_url
    said: list[str] = []
    async with docker_available(tmp_path, said.append) as url:
        assert url == docker_url
    assert said == []


async def test_a_docker_host_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:9"):
        monkeypatch.setenv("DOCKER_HOST", url)
        assert find_docker() is None
        with pytest.raises(Unavailable, match=url):
            async with docker_available(tmp_path, print):
                pass


@pytest.mark.parametrize("length", [55, 56])
async def test_a_private_daemon_starts_however_deep_its_folder(length: int) -> None:
    """The longest path whose sockets fit into it, and one byte more."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        state = Path(short) / ("d" * (length - len(short) - 1))
        state.mkdir()
        said: list[str] = []
        async with _private_daemon(state, said.append) as url:
            assert (str(state) in url) is (length == 55)


async def test_a_private_daemon_runs_tasks_and_is_gone_afterwards(
    docker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    async with _private_daemon(tmp_path, said.append) as url:
        assert url != docker_url
        image = await ensure_image(url, said.append)
        assert image == await ensure_image(url, said.append)
        async with DockerEngine(url) as engine:
            for network in ("None", "Host"):
                task = make_task(
                    tmp_path,
                    new_execution_id(),
                    {"Image": image, "Parameters": ["echo", "private"]},
                    network=NetworkConfig(type=network),
                )
                assert (await engine.run(task, ignore)).code == 0
                assert task.stdout.read_text() == "private\n"
    assert str(tmp_path) in said[0]
    assert str(Path(url.removeprefix("unix://")).parent) not in Path("/proc/self/mounts").read_text()
    monkeypatch.setenv("DOCKER_HOST", url)
    assert find_docker() is None
