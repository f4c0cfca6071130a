"""The share of a machine that a node offers to jobs: `80%` of what is there, or an absolute amount."""

from collections.abc import Callable
from math import ceil

from bacalhau.config.schema import AllocatedCapacity
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_bytes, parse_count, parse_cpu
from bacalhau.models.job.resources import Resources

EXECUTIONS_PER_CPU, LEAST_EXECUTIONS = 16, 32


def offered_capacity(there: Resources, wanted: AllocatedCapacity) -> Resources:
    """Compute what a node offers. Raises BadRequest naming the key and the value.

    An absolute amount may be more than there is, but for GPUs, which are given out one by one.
    """
    gpu = int(_amount("GPU", wanted.gpu, there.gpu, parse_count))
    if there.gpus and gpu > len(there.gpus):
        raise BadRequest(
            f"Compute.AllocatedCapacity.GPU: {wanted.gpu!r} is more than the {len(there.gpus)} of this machine"
        )
    return Resources(
        cpu=round(_amount("CPU", wanted.cpu, there.cpu, parse_cpu), 3),
        memory=int(_amount("Memory", wanted.memory, there.memory, parse_bytes)),
        disk=int(_amount("Disk", wanted.disk, there.disk, parse_bytes)),
        gpu=gpu,
        gpus=there.gpus[:gpu],
    )


def offered_executions(offered: Resources, wanted: AllocatedCapacity) -> int:
    """Return how many executions may run at once: as many as configured, or by the CPU that is given to jobs."""
    return wanted.executions or max(LEAST_EXECUTIONS, ceil(offered.cpu * EXECUTIONS_PER_CPU))


def _amount(key: str, text: str, there: float, parse: Callable[[str], float]) -> float:
    clean = text.strip()
    try:
        if clean.endswith("%"):
            share = float(clean[:-1])
            if not 0 <= share <= 100:
                raise ValueError(text)
            return there * share / 100
        return float(parse(clean)) if clean else there
    except ValueError as e:
        raise BadRequest(
            f"Compute.AllocatedCapacity.{key}: {text!r} is neither a share from 0% to 100% nor an amount"
        ) from e
