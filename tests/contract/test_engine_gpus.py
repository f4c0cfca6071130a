"""GPUs on a real daemon: device files reach the container and can be used there."""

import os
import stat
from functools import partial
from pathlib import Path

import pytest

from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import GPU, Resources
from bacalhau.plugins.docker import container
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.gpus import gpu_settings
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task

GROUP = 4242


def make_device(path: Path) -> Path:
    """A device that gives zeros, for its owner and its group."""
    os.mknod(path, stat.S_IFCHR | 0o660, os.makedev(1, 5))
    os.chown(path, 0, GROUP)
    path.chmod(0o660)
    return path


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """The folders and files that the kernel makes for two cards, and AMD's common one."""
    by_path = tmp_path / "by-path"
    by_path.mkdir()
    for bus, number in (("e3", 1), ("26", 0)):
        for kind, name in (("card", f"card{number}"), ("render", f"renderD{128 + number}")):
            (by_path / f"pci-0000:{bus}:00.0-{kind}").symlink_to(make_device(tmp_path / name))
    monkeypatch.setattr(
        container, "gpu_settings", partial(gpu_settings, by_path=by_path, kfd=make_device(tmp_path / "kfd"))
    )
    return tmp_path


async def run(url, image, folder, script, *gpus):
    (folder / "out").mkdir(exist_ok=True)
    params = {"image": image, "parameters": ["sh", "-c", script]}
    task = make_task(
        folder / "out",
        new_execution_id(),
        params,
        resources=Resources(gpu=len(gpus), gpus=gpus),
        network=NetworkConfig(type="None"),
    )
    async with DockerEngine(url) as engine:
        end = await engine.run(task, ignore)
    return end.code, task.stdout.read_text()


async def test_a_task_has_its_own_card_and_no_other(docker_url, docker_image, cards):
    script = f"cd {cards}; ls; for f in *; do head -c 2 $f | wc -c; done; id -G"
    amd, intel = (
        GPU(vendor=vendor, pci_address=address)
        for vendor, address in (("AMD/ATI", "0000:E3:00.0"), ("Intel", "0000:26:00.0"))
    )
    code, text = await run(docker_url, docker_image, cards, script, amd)
    assert (code, text.split()[:6]) == (0, ["card1", "kfd", "renderD129", "2", "2", "2"])
    assert str(GROUP) in text.split()
    code, text = await run(docker_url, docker_image, cards, script, intel)
    assert (code, text.split()[:4]) == (0, ["card0", "renderD128", "2", "2"])
