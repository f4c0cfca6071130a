"""The GPUs of a container: NVIDIA's by its runtime, AMD's and Intel's as device files, found by the cards' places
on the bus.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bacalhau.lib.errors import EngineFailure
from bacalhau.models.job.resources import GPU, Resources

_BY_PATH = Path("/dev/dri/by-path")
_KFD = Path("/dev/kfd")
_BY_FILE = ("AMD", "INTEL")


def needs_driver(need: Resources) -> bool:
    """Tell whether a task has a GPU that only a driver of the daemon gives, because it is no device file."""
    return need.gpu > 0 and not (need.gpus and all(gpu.vendor.upper().startswith(_BY_FILE) for gpu in need.gpus))


def gpu_settings(gpus: Sequence[GPU], by_path: Path = _BY_PATH, kfd: Path = _KFD) -> dict[str, Any]:
    """A part of HostConfig. Raises EngineFailure where a card has no device file."""
    settings: dict[str, Any] = {}
    others = [gpu for gpu in gpus if gpu.vendor.upper().startswith(_BY_FILE)]
    nvidia = [str(gpu.index) for gpu in gpus if gpu not in others]
    if nvidia:
        settings["DeviceRequests"] = [{"DeviceIDs": nvidia, "Capabilities": [["gpu"]]}]
    files = [path for gpu in others for path in _device_files(gpu, by_path)]
    if any(gpu.vendor.upper().startswith("AMD") for gpu in others):
        files.append(kfd)
    if files:
        unique = dict.fromkeys(files)
        settings["Devices"] = [
            {"PathOnHost": str(path), "PathInContainer": str(path), "CgroupPermissions": "rwm"} for path in unique
        ]
        # Whoever the image's user is: the files' groups may use them.
        settings["GroupAdd"] = sorted({str(path.stat().st_gid) for path in unique if path.exists()})
    return settings


def _device_files(gpu: GPU, by_path: Path) -> list[Path]:
    """`pci-0000:e3:00.0-card` and `-render` lead to `card1` and `renderD129`."""
    links = sorted(by_path.glob(f"pci-{gpu.pci_address.lower()}-*"))
    if not links:
        raise EngineFailure(
            f"GPU {gpu.index} ({gpu.name}) has no device file at {by_path}/pci-{gpu.pci_address.lower()}-*",
            component="Docker",
        )
    return [link.resolve() for link in links]
