"""GPUs as the Engine API takes them."""

import os
from pathlib import Path

import pytest

from bacalhau.lib.errors import EngineFailure
from bacalhau.models.job.resources import GPU
from bacalhau.plugins.docker.gpus import gpu_settings


def link(folder, name, device):
    device.touch()
    (folder / name).symlink_to(device)


def test_nvidia_by_index():
    cards = (GPU(index=0, vendor="NVIDIA"), GPU(index=3, vendor="NVIDIA"))
    assert gpu_settings(cards) == {"DeviceRequests": [{"DeviceIDs": ["0", "3"], "Capabilities": [["gpu"]]}]}
    assert gpu_settings(()) == {}


def test_others_by_their_device_files(tmp_path):
    by_path, kfd = tmp_path / "by-path", tmp_path / "kfd"
    by_path.mkdir()
    kfd.touch()
    for bus, number in (("e3", 1), ("26", 0)):
        link(by_path, f"pci-0000:{bus}:00.0-card", tmp_path / f"card{number}")
        link(by_path, f"pci-0000:{bus}:00.0-render", tmp_path / f"renderD{128 + number}")
    amd = GPU(index=0, vendor="AMD/ATI", pci_address="0000:E3:00.0")
    intel = GPU(index=0, vendor="Intel", pci_address="0000:26:00.0")

    def devices(*cards):
        settings = gpu_settings(cards, by_path, kfd)
        assert settings["GroupAdd"] == [str(os.stat(kfd).st_gid)]
        assert all(
            d["PathInContainer"] == d["PathOnHost"] and d["CgroupPermissions"] == "rwm" for d in settings["Devices"]
        )
        return [Path(d["PathOnHost"]).name for d in settings["Devices"]]

    assert devices(amd) == ["card1", "renderD129", "kfd"]
    assert devices(intel) == ["card0", "renderD128"]
    assert devices(intel, amd) == ["card0", "renderD128", "card1", "renderD129", "kfd"]


def test_a_card_without_a_file_is_named(tmp_path):
    with pytest.raises(EngineFailure, match=r"GPU 2 \(Arc\) has no device file at .*/pci-0000:03:00.0-\*"):
        gpu_settings((GPU(index=2, vendor="Intel", name="Arc", pci_address="0000:03:00.0"),), tmp_path)
