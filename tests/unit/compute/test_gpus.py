"""GPUs as their makers' tools tell of them: small programs of the same names on PATH that say what the real
ones say.
"""

import json

import pytest

from bacalhau.compute.machine.gpus import detect_gpus, gpu_labels
from bacalhau.models.job.resources import GPU

NVIDIA = """0, Tesla T4, 15360, 00000000:00:1E.0
1, NVIDIA A100-SXM4-40GB, 40960, 00000000:07:00.0
2, NVIDIA GB10, [N/A], 0000000F:01:00.0
"""
AMD = {
    "card1": {
        "PCI Bus": "0000:C3:00.0",
        "Card Series": "AMD Instinct MI210",
        "Card Model": "0x740f",
        "VRAM Total Memory (B)": "68702699520",
    },
    "card0": {
        "VRAM Total Memory (B)": "17163091968",
        "VRAM Total Used Memory (B)": "10960896",
        "Card series": "Navi 21 [Radeon RX 6800]",
        "Card model": "0x0e3a",
        "Card vendor": "Advanced Micro Devices, Inc. [AMD/ATI]",
        "Card SKU": "001",
        "PCI Bus": "0000:0B:00.0",
    },
    "system": {"Driver version": "6.2.4"},
}
INTEL_LIST = {
    "device_list": [
        {
            "device_function_type": "physical",
            "device_id": 0,
            "device_name": "Intel(R) Data Center GPU Flex 170",
            "device_type": "GPU",
            "pci_bdf_address": "0000:4d:00.0",
        },
        {
            "device_function_type": "virtual",
            "device_id": 1,
            "device_name": "Intel(R) Data Center GPU Flex 170",
            "device_type": "GPU",
            "pci_bdf_address": "0000:4d:00.1",
        },
    ]
}
INTEL_ONE = INTEL_LIST["device_list"][0] | {"memory_physical_size_byte": "14193102848", "drm_device": "/dev/dri/card1"}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Writes a program; nothing but these and the shell's own are found."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


def says(text):
    return f"cat <<'END'\n{text}\nEND"


async def test_no_tool_no_gpu(tool):
    assert await detect_gpus() == ((), {})


async def test_every_maker(tool):
    tool(
        "nvidia-smi",
        '[ "$*" = "--query-gpu=index,gpu_name,memory.total,pci.bus_id --format=csv,noheader,nounits" ] || exit'
        f" 9\n{says(NVIDIA.strip())}",
    )
    tool(
        "rocm-smi",
        'case "$*" in *--json*) ;; *) exit 9;;'
        f" esac\n{says('WARNING: AMD GPU device(s) is/are in a low-power state.')}\n{says(json.dumps(AMD))}",
    )
    tool(
        "xpu-smi",
        f'if [ "$2" = --device ]; then\n{says(json.dumps(INTEL_ONE))}\nelse\n{says(json.dumps(INTEL_LIST))}\nfi',
    )
    gpus, problems = await detect_gpus()
    assert problems == {}
    assert gpus == (
        GPU(index=0, name="Tesla T4", vendor="NVIDIA", memory=15360, pci_address="00000000:00:1E.0"),
        GPU(index=1, name="NVIDIA A100-SXM4-40GB", vendor="NVIDIA", memory=40960, pci_address="00000000:07:00.0"),
        GPU(index=2, name="NVIDIA GB10", vendor="NVIDIA", memory=0, pci_address="0000000F:01:00.0"),
        GPU(index=0, name="Navi 21 [Radeon RX 6800]", vendor="AMD/ATI", memory=16368, pci_address="0000:0B:00.0"),
        GPU(index=1, name="AMD Instinct MI210", vendor="AMD/ATI", memory=65520, pci_address="0000:C3:00.0"),
        GPU(
            index=0, name="Intel(R) Data Center GPU Flex 170", vendor="Intel", memory=13535, pci_address="0000:4d:00.0"
        ),
    )
    assert gpu_labels(gpus[:1]) == {"GPU-0": "Tesla-T4", "GPU-0-Memory": "15360-MiB"}


async def test_a_machine_without_a_card(tool):
    tool("nvidia-smi", "true")
    tool("rocm-smi", "true")
    tool("xpu-smi", says('{"device_list": []}'))
    assert await detect_gpus() == ((), {})


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            "echo 'NVIDIA-SMI has failed because it could not communicate with the driver.'; exit 9",
            "nvidia-smi failed with exit code 9: NVIDIA-SMI has failed",
        ),
        ("exit 9", "nvidia-smi failed with exit code 9"),
        ("echo what", "nvidia-smi answered what cannot be read"),
        ("echo $$ > $0.pid; sleep 1000", "nvidia-smi did not answer within 1 s"),
    ],
)
async def test_a_tool_that_fails_is_told_and_the_others_count(tool, caplog, script, problem):
    tool("nvidia-smi", script)
    tool("rocm-smi", says(json.dumps(AMD)))
    gpus, problems = await detect_gpus(1.0)
    assert len(gpus) == 2
    assert list(problems) == ["nvidia-smi"] and problems["nvidia-smi"].startswith(problem)
    assert problem in caplog.text


async def test_a_program_that_is_none(tool, tmp_path):
    tool("xpu-smi", "")
    (tmp_path / "xpu-smi").write_bytes(b"\x7fELF nothing")
    assert (await detect_gpus()).problems["xpu-smi"].startswith("xpu-smi cannot be run: ")
