"""What Podman's API would leave out without a word is refused with words, before a container is made."""

from pathlib import Path

import pytest

from bacalhau.lib.errors import EngineFailure
from bacalhau.models.job.resources import GPU, Resources
from bacalhau.plugins.docker.extras import NOTHING, Extras, Ulimit
from bacalhau.plugins.docker.isolation import Facts
from bacalhau.plugins.docker.podman import check_podman
from bacalhau.ports.engine import EngineTask, Mount
from tests.support.docker import make_task

HERE = "unix:///run/podman/podman.sock"
PODMAN = Facts(("crun",), is_podman=True)


def task(**changes: object) -> EngineTask:
    return make_task(Path("/nowhere"), "e-1", {}, **changes)


def refusal(made: EngineTask, *, extras: Extras = NOTHING, facts: Facts = PODMAN, url: str = HERE) -> EngineFailure:
    with pytest.raises(EngineFailure) as caught:
        check_podman(made, extras, facts, url)
    return caught.value


@pytest.mark.parametrize("gpus", [(), (GPU(index=0, name="A100", vendor="NVIDIA", pci_address="0000:01:00.0"),)])
def test_a_gpu_that_podman_would_leave_out_is_refused(gpus: tuple[GPU, ...]) -> None:
    found = refusal(task(resources=Resources(gpu=1, gpus=gpus)))
    assert found.message == "this node's Podman gives no GPUs of NVIDIA by its API"
    assert found.retryable


def test_a_gpu_that_is_a_device_file_is_given() -> None:
    gpu = GPU(index=0, name="MI300", vendor="AMD/ATI", pci_address="0000:01:00.0")
    check_podman(task(resources=Resources(gpu=1, gpus=(gpu,))), NOTHING, PODMAN, HERE)


def test_limits_that_podman_would_leave_out_are_refused() -> None:
    extras = Extras(ulimits=(Ulimit("nofile", 10, 10),))
    check_podman(task(), extras, PODMAN, HERE)
    found = refusal(task(), extras=extras, facts=PODMAN._replace(is_rootless=True))
    assert found.message == "this node's Podman sets no Ulimits, because it is not run by root"


def test_a_podman_of_another_machine_would_make_empty_folders(tmp_path: Path) -> None:
    made = task(mounts=(Mount(tmp_path, "/in", True),))
    for url in (HERE, "tcp://localhost:2375", "http://[::1]:2375"):
        check_podman(made, NOTHING, PODMAN, url)
    for url in ("tcp://10.0.0.7:2375", "ssh://core@builder"):
        found = refusal(made, url=url)
        assert found.message == (
            f"this node's Podman at {url} (DOCKER_HOST) is on another machine and does not see the folders of this node"
        )
        check_podman(task(), NOTHING, PODMAN, url)


def test_a_source_that_podman_would_make_is_named(tmp_path: Path) -> None:
    found = refusal(task(mounts=(Mount(tmp_path / "gone", "/in", True),)))
    assert found.message == f"mount source {tmp_path}/gone does not exist"
    assert not (tmp_path / "gone").exists()
