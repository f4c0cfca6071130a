"""What scenarios share: Docker's own account of containers, and whole systems, one for all tests of a module."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.containers import Containers
from tests.support.docker import remove_image
from tests.support.system import System, new_node_name

StartSystem = Callable[..., System]


@pytest.fixture(scope="session")
def containers(anyio_backend: str, docker_url: str) -> Iterator[Containers]:
    with Containers(docker_url) as found:
        yield found


@pytest.fixture(scope="module")
def start_system(
    docker_url: str, docker_image: str, containers: Containers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartSystem]:
    """Call it with what `System` takes besides folder and Docker; it lives until the module's end."""
    with ExitStack() as stack:

        def start(**how: Any) -> System:
            folder = tmp_path_factory.mktemp("system")
            return stack.enter_context(
                System(folder, how.pop("docker_url", docker_url), image=how.pop("image", docker_image), **how)
            )

        yield start


@pytest.fixture(scope="module")
def system(start_system: StartSystem) -> System:
    """One process with room for many small jobs."""
    return start_system(settings={"Compute.AllocatedCapacity.CPU": 16, "Compute.AllocatedCapacity.Memory": "64gb"})


@pytest.fixture
def plain_user_image(docker_url, docker_image):
    """An image whose programs run as a user of its own."""
    docker = ["docker", "--host", docker_url]
    made = subprocess.run([*docker, "create", docker_image, "true"], check=True, capture_output=True, text=True)
    image = f"bacalhau-test/user-{new_node_name()}:1"
    change = ["--change", "USER 1234:1234"]
    subprocess.run([*docker, "commit", *change, made.stdout.strip(), image], check=True, capture_output=True)
    subprocess.run([*docker, "rm", made.stdout.strip()], check=True, capture_output=True)
    yield image
    remove_image(docker_url, image)
