"""One whole system for the commands of a module, and texts with everything that changes from run to run replaced."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.system import System

_CHANGES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\b([ejn])-[0-9a-f]{8}\b", r"\1-SHORT"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d{3})?\b", "CLOCK"),
    (r"\b\d+\.\ds$", "TIMER"),
    (r"\b(\d+m)?\d+s ago *", "AGO "),
    (r"\b[0-9a-f]{64}\b", "CLIENT"),
)

_JOB = """
Name: {name}
Type: batch
Count: 1
Tasks:
- Name: main
  Engine: {{Type: docker, Params: {{Image: "{image}", Parameters: [sh, -c, "{script}"]}}}}
"""


def plain(text: str) -> str:
    for pattern, name in _CHANGES:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


@pytest.fixture(scope="module")
def system(
    anyio_backend: str, docker_url: str, docker_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    image = docker_image if ":" in docker_image else f"{docker_image}:latest"
    with System(
        tmp_path_factory.mktemp("cli"), docker_url, image=image, settings={"Compute.AllocatedCapacity.CPU": 8}
    ) as made:
        yield made


@pytest.fixture
def run(system: System) -> Callable[..., str]:
    """Submits `sh -c SCRIPT` with flags before it, waits, and gives the job's id."""

    def submit(script: str, *flags: object) -> str:
        return system.cli("docker", "run", "--id-only", *flags, system.image, "--", "sh", "-c", script).stdout.strip()

    return submit


@pytest.fixture
def job_file(system: System, tmp_path: Path) -> Callable[..., Path]:
    """Writes `NAME.yaml`, a job of that name that runs `sh -c SCRIPT`."""

    def write(name: str, script: str = "echo hello") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(_JOB.format(name=name, script=script, image=system.image))
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made
