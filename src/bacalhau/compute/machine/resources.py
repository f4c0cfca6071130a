"""Detection of resources: the cores and memory that this process may use within the limits of its control groups, and
the free space of a disk.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bacalhau.models.job.resources import Resources

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60  # what the first version of control groups writes in place of "none" is above this


def detect_resources(folder: Path, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> Resources:
    """Measure the resources of this machine, without GPUs. The disk is that of `folder`, as it is now."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    groups = _read(membership).splitlines()
    limits_cpu = [limit for group in _groups(groups, cgroups, "cpu") if (limit := _cpu_limit(group))]
    limits_memory = [limit for group in _groups(groups, cgroups, "memory") if (limit := _memory_limit(group))]
    return Resources(
        cpu=min([cores, *limits_cpu]), memory=min([pages, *limits_memory]), disk=shutil.disk_usage(folder).free
    )


def _groups(lines: list[str], cgroups: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's group and all above it: each may set a limit.

    `N:controllers:/path`; version 2 has none named.
    """
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = (
            cgroups / controllers
            if controllers and (cgroups / controllers).is_dir()
            else cgroups / controller
            if controllers
            else cgroups
        )
        parts = [part for part in path.split("/") if part]
        yield from (top.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _cpu_limit(group: Path) -> float:
    """Read the CPU limit in cores; 0 is none."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    number, span = _number(quota), _number(period)
    return number / span if number > 0 and span > 0 else 0.0


def _memory_limit(group: Path) -> int:
    """Read the memory limit in bytes; 0 is none."""
    number = _number(_read(group / "memory.max") or _read(group / "memory.limit_in_bytes"))
    return number if 0 < number < _NO_LIMIT else 0


def _number(text: str) -> int:
    """0 for `max` and for nothing."""
    try:
        return int(text)
    except ValueError:
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
