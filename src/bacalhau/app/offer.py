"""How much of a machine a node offers to jobs: `80%` of what is there, or an absolute amount."""

from collections.abc import Callable

from bacalhau.config.schema import AllocatedCapacity
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_bytes, parse_cpu
from bacalhau.models.resources import Resources


def offered_capacity(there: Resources, wanted: AllocatedCapacity) -> Resources:
    """Raises BadRequest naming the key and the value."""
    return Resources(
        cpu=round(_amount("CPU", wanted.cpu, there.cpu, parse_cpu), 3),
        memory=int(_amount("Memory", wanted.memory, there.memory, parse_bytes)),
        disk=int(_amount("Disk", wanted.disk, there.disk, parse_bytes)),
        gpu=int(_amount("GPU", wanted.gpu, there.gpu, int)),
    )


def _amount(key: str, text: str, there: float, parse: Callable[[str], float]) -> float:
    try:
        if text.endswith("%"):
            return there * float(text[:-1]) / 100
        return float(parse(text)) if text else there
    except ValueError as e:
        raise BadRequest(f"Compute.AllocatedCapacity.{key}: {text!r} is neither a share such as 80% nor an amount") from e
