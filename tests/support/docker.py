"""A real Docker daemon, a real Podman, an image and registries on loopback for tests; what is missing is installed
(Debian, as root).
"""

import io
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bacalhau.app.dockerd import docker_available, ensure_image
from bacalhau.lib.ids import new_node_id
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.ports.engine import EngineTask
from tests.support.podman import serve_podman
from tests.support.until import until

NODE_ID = new_node_id()  # this session's own: nobody else's containers are looked at

# user:secret, as bcrypt
_HTPASSWD = "user:$2b$12$x2VZzRfsE72l1tY2HWjBKuLXsdti2jSVpU3zWTv42BdVpbAeG4nf."


@pytest.fixture(scope="session")
async def docker_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with docker_available(tmp_path_factory.mktemp("docker"), print) as url:
        yield url


@pytest.fixture(scope="session")
async def docker_image(docker_url: str) -> str:
    return await ensure_image(docker_url, print)


@pytest.fixture(scope="session")
def podman_url(registry: str, locked_registry: str) -> Iterator[str]:
    with serve_podman(registry, locked_registry) as url:
        yield url


@pytest.fixture(scope="session")
async def podman_image(podman_url: str) -> str:
    return await ensure_image(podman_url, print)


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine_url(request: pytest.FixtureRequest) -> str:
    """For tests that hold with Docker and with Podman."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="session")
async def engine_image(engine_url: str) -> str:
    return await ensure_image(engine_url, print)


@pytest.fixture(scope="session")
def registry(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of an open registry; what was pulled from it goes with it."""
    with serve_registry(tmp_path_factory.mktemp("registry"), auth=False) as host:
        yield host
        docker = ["docker", "--host", docker_url]
        listed = subprocess.run(
            [*docker, "images", "--format", "{{.Repository}}:{{.Tag}}"], check=True, capture_output=True, text=True
        )
        for name in listed.stdout.split():
            if name.startswith(host):
                remove_image(docker_url, name)


@pytest.fixture(scope="session")
def locked_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a registry that answers nobody without a password."""
    with serve_registry(tmp_path_factory.mktemp("registry"), auth=True) as host:
        yield host


@contextmanager
def serve_registry(folder: Path, *, auth: bool) -> Iterator[str]:
    if not shutil.which("docker-registry"):
        subprocess.run(
            "apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-registry",
            shell=True,
            check=True,
            capture_output=True,
        )
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}",
        "http: {addr: '127.0.0.1:0'}",
    ]
    if auth:
        (folder / "htpasswd").write_text(_HTPASSWD + "\n")
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}")
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    child = subprocess.Popen(
        ["docker-registry", "serve", folder / "config.yml"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    try:
        host = next(found[1] for line in child.stderr if (found := re.search(r"listening on ([0-9.:]+)", line)))
        drain = threading.Thread(target=child.stderr.read, daemon=True)
        drain.start()
        yield host
    finally:
        child.terminate()
        child.wait(10)
        drain.join(10)
        child.stderr.close()


def remove_image(url: str, name: str) -> None:
    """Remove an image as soon as Docker does: the container that ran it last may be going still."""
    command = ["docker", "--host", url, "rmi", name]
    until(lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0, f"image {name} is removed")


def push(url: str, image: str, name: str, config: Path | None = None) -> str:
    """Tag `image` as `name` and push it; returns its digest reference. The local name is removed. `config` is a folder
    with the credentials for that.
    """
    docker = ["docker", *(("--config", str(config)) if config else ()), "--host", url]
    subprocess.run([*docker, "tag", image, name], check=True)
    subprocess.run([*docker, "push", "--quiet", name], check=True, capture_output=True)
    told = subprocess.run(
        [*docker, "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', name],
        check=True,
        capture_output=True,
        text=True,
    )
    remove_image(url, name)
    return next(digest for digest in told.stdout.split() if digest.startswith(name.rpartition(":")[0] + "@"))


def push_new(url: str, name: str, size: int) -> str:
    """Push an image that nobody has, with one layer of `size` random bytes; returns its digest reference."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    command = ["docker", "--host", url, "import", "-", "bacalhau-test/new:latest"]
    subprocess.run(command, input=archive.getvalue(), check=True, capture_output=True)
    digest = push(url, "bacalhau-test/new:latest", name)
    remove_image(url, "bacalhau-test/new:latest")
    return digest


def make_task(folder: Path, execution_id: str, params: dict[str, object], **changes: object) -> EngineTask:
    """A task whose output goes to files named after it in `folder`."""
    task = EngineTask(
        execution_id=execution_id,
        job_id="j-contract",
        node_id=NODE_ID,
        params=params,
        env={},
        mounts=(),
        resources=Resources(),
        network=NetworkConfig(),
        stdout=folder / f"{execution_id}.stdout",
        stderr=folder / f"{execution_id}.stderr",
    )
    return task._replace(**changes)
