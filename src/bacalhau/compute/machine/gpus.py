"""Detection of GPUs by the tools of their makers, each within a time limit."""

import asyncio
import csv
import logging
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from bacalhau.lib.aio import together
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.job.resources import GPU

SECONDS = 10.0
NVIDIA, AMD, INTEL = "NVIDIA", "AMD/ATI", "Intel"
_MIB = 1 << 20
log = logging.getLogger(__name__)

Run = Callable[..., Awaitable[str]]


class Found(NamedTuple):
    """`problems`: by tool, why it could not say."""

    gpus: tuple[GPU, ...]
    problems: dict[str, str]


async def detect_gpus(seconds: float = SECONDS) -> Found:
    """A tool that is not installed means that there are none of its maker."""
    tools = [name for name in _TOOLS if shutil.which(name)]
    answers = await together(*(_ask(name, seconds) for name in tools)) if tools else []
    problems = {
        name: str(answer) for name, answer in zip(tools, answers, strict=True) if isinstance(answer, BacalhauError)
    }
    for name, problem in problems.items():
        log.warning("GPUs that %s knows are not offered: %s", name, problem)
    return Found(tuple(gpu for answer in answers if isinstance(answer, list) for gpu in answer), problems)


async def _ask(name: str, seconds: float) -> list[GPU] | BacalhauError:
    async def run(*args: str) -> str:
        return await _output(name, *args)

    try:
        async with asyncio.timeout(seconds):
            return await _TOOLS[name](run)
    except TimeoutError:
        return Unavailable(f"{name} did not answer within {seconds:g} s")
    except BacalhauError as e:
        return e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        return Unavailable(f"{name} answered what cannot be read: {e!r}")


async def _output(*command: str) -> str:
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as e:
        raise Unavailable(f"{command[0]} cannot be run: {e.strerror or e}") from e
    try:
        said, complained = await child.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    if child.returncode:
        text = (complained or said).decode(errors="replace").strip().splitlines() or [""]
        raise Unavailable(f"{command[0]} failed with exit code {child.returncode}: {text[0]}".rstrip(": "))
    return said.decode(errors="replace")


async def _nvidia(run: Run) -> list[GPU]:
    return read_nvidia(await run("--query-gpu=index,gpu_name,memory.total,pci.bus_id", "--format=csv,noheader,nounits"))


def read_nvidia(text: str) -> list[GPU]:
    """`0, Tesla T4, 15360, 00000000:00:1E.0` a line. Memory that is shared with the machine's is `[N/A]`."""
    found = []
    for index, name, memory, address in csv.reader(text.strip().splitlines(), skipinitialspace=True):
        found.append(
            GPU(
                index=int(index),
                name=name,
                vendor=NVIDIA,
                memory=int(memory) if memory.strip().isdecimal() else 0,
                pci_address=address.strip(),
            )
        )
    return found


async def _amd(run: Run) -> list[GPU]:
    return read_amd(await run("--showproductname", "--showbus", "--showmeminfo", "vram", "--json"))


def read_amd(text: str) -> list[GPU]:
    """`{"card0": {"Card series": …, "PCI Bus": …, "VRAM Total Memory (B)": …}}`; the case of names differs between
    releases.
    """
    found = []
    for card, told in _objects(text).items():
        if card.startswith("card"):
            values = {name.lower(): str(value) for name, value in told.items()}
            name = values.get("card series") or values.get("card model") or card
            memory = int(values.get("vram total memory (b)", 0)) // _MIB
            found.append(
                GPU(
                    index=int(card.removeprefix("card")),
                    name=name.strip(),
                    vendor=AMD,
                    memory=memory,
                    pci_address=values["pci bus"].strip(),
                )
            )
    return sorted(found, key=lambda gpu: gpu.index)


def _objects(text: str) -> Mapping[str, Mapping[str, Any]]:
    """Some releases write warnings before the JSON, and nothing where there is no card."""
    found: Mapping[str, Mapping[str, Any]] = decode(text[text.index("{") :], dict[str, Any]) if "{" in text else {}
    return found


async def _intel(run: Run) -> list[GPU]:
    devices = read_intel_list(await run("discovery", "--json"))
    return [read_intel(await run("discovery", "--device", str(device), "--json")) for device in devices]


def read_intel_list(text: str) -> list[int]:
    """`{"device_list": [{"device_id": 0, …}]}`; virtual functions of a card are no cards."""
    listed = decode(text, dict[str, Any])["device_list"]
    return [
        int(one["device_id"])
        for one in listed
        if one.get("device_type", "GPU") == "GPU" and one.get("device_function_type", "physical") == "physical"
    ]


def read_intel(text: str) -> GPU:
    one = decode(text, dict[str, Any])
    memory = int(one.get("memory_physical_size_byte") or 0) // _MIB
    return GPU(
        index=int(one["device_id"]),
        name=one["device_name"],
        vendor=INTEL,
        memory=memory,
        pci_address=one["pci_bdf_address"],
    )


_TOOLS: Mapping[str, Callable[[Run], Awaitable[list[GPU]]]] = {
    "nvidia-smi": _nvidia,
    "rocm-smi": _amd,
    "xpu-smi": _intel,
}


def gpu_labels(gpus: tuple[GPU, ...]) -> dict[str, str]:
    """Make the labels that jobs select GPUs by: `GPU-0=Tesla-T4`, `GPU-0-Memory=15360-MiB`."""
    found = {}
    for number, gpu in enumerate(gpus):
        found[f"GPU-{number}"] = gpu.name.replace(" ", "-")
        found[f"GPU-{number}-Memory"] = f"{gpu.memory}-MiB"
    return found
