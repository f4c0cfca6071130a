"""The stages of executions in words: which one an event begins, how many are in each, and how far they are."""

from collections.abc import Iterable, Sequence

from bacalhau.lib.units import show_bytes
from bacalhau.models.execution.event import JobHistory, Topic
from bacalhau.models.wire.messages import Progress

PLACED, COMPLETED, FAILED, STOPPED = "placed", "completed", "failed", "stopped"
ENDED = (COMPLETED, FAILED, STOPPED)
_RUNNING = "Running"
_ORDER = ("running", "publishing", "staging", "downloading", "pulling", "preparing", PLACED, *ENDED)


def stage_after(event: JobHistory) -> str:
    """Name the stage in which an event leaves an execution; "" where it goes on."""
    if event.event.topic == Topic.SCHEDULING and (event.event.details or {}).get("NodeID"):
        return PLACED
    if event.event.is_error:
        return FAILED
    if event.event.topic == Topic.EXECUTION:
        return "" if event.event.message == _RUNNING else COMPLETED
    return STOPPED if event.event.topic == Topic.SCHEDULING else ""


def place_of(stage: str) -> int:
    """Return the place of a stage in the order in which stages are counted."""
    return _ORDER.index(stage) if stage in _ORDER else 0


def count_stages(stages: Sequence[str], wanted: int) -> str:
    """Write `8 of 12 running, 2 staging`. `wanted` is how many executions there will be, 0 where nobody knows it."""
    total = f" of {wanted}" if wanted >= len(stages) else ""
    counts: dict[str, int] = {}
    for stage in sorted(stages, key=place_of):
        counts[stage] = counts.get(stage, 0) + 1
    return ", ".join(f"{count}{'' if at else total} {stage}" for at, (stage, count) in enumerate(counts.items()))


def amounts_of(steps: Iterable[Progress]) -> str:
    """Write `1 of 3 objects, 1.0 kB of 3.0 kB`; "" where nothing is counted."""
    done = total = bytes_done = bytes_total = 0
    for step in steps:
        done, total = done + step.done, total + step.total
        bytes_done, bytes_total = bytes_done + step.bytes_done, bytes_total + step.bytes_total
    parts = [f"{done} of {total} objects" if total else f"{done} objects"] if total or done else []
    if bytes_total or bytes_done:
        parts.append(show_bytes(bytes_done) + (f" of {show_bytes(bytes_total)}" if bytes_total else ""))
    return ", ".join(parts)
