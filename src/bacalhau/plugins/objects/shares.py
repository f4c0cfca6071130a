"""The parameters of a partition, the rule by which executions share the objects of a source, and their pure checks."""

from bacalhau.border.names import shorten
from bacalhau.border.patterns import Pattern, PatternFault
from bacalhau.lib.units import parse_bytes
from bacalhau.lib.wire import Model, always
from bacalhau.models.job.spec import SpecConfig, read_params
from bacalhau.plugins.objects.godate import LONGEST_LAYOUT, GoLayout

EVEN = ("bytes", "count")  # types of partition (ours) whose shares are even


class PartitionParams(Model):
    """The rule by which executions share the objects of a source, see `partition`; present and empty in results.

    `group_by` (ours) is for the types bytes and count: objects in whose keys the pattern finds the same stay together.
    `bytes_per_partition` (ours) is for the type bytes, which it implies: so many bytes in the mean decide the count.
    """

    type: str = always(factory=str)
    pattern: str = always(factory=str)
    start_index: int = always(factory=int)
    end_index: int = always(factory=int)
    date_format: str = always(factory=str)
    group_by: str = ""
    bytes_per_partition: str = ""

    @property
    def kind(self) -> str:
        return self.type.strip().lower() or ("bytes" if self.bytes_per_partition else "none")

    @property
    def part_bytes(self) -> int:
        """The number of bytes of a partition, where that decides the count of the job; else 0."""
        try:
            return parse_bytes(self.bytes_per_partition) if self.bytes_per_partition else 0
        except ValueError:
            return 0


class _Divided(Model):
    """The parameters of any source, as far as they say how it is shared out."""

    partition: PartitionParams | None = None


def part_bytes(spec: SpecConfig) -> int:
    """Return how many bytes make a partition of a job that leaves its count to this input; 0 where it does not."""
    params, _ = read_params(spec, _Divided)
    return params.partition.part_bytes if params and params.partition else 0


def partition_problems(partition: PartitionParams) -> list[str]:
    """List what is wrong with the parameters of a partition."""
    return [*_type_problems(partition), *_bytes_problems(partition)]


def _bytes_problems(partition: PartitionParams) -> list[str]:
    text = partition.bytes_per_partition
    if text and partition.kind != "bytes":
        return [f"partition bytes per partition needs the type bytes, not {partition.kind}"]
    said = f"partition bytes per partition {shorten(text)!r} cannot be read"
    cure = "write a number of bytes above 0 with its unit, such as 500Mb or 10Gb"
    return [f"{said}: {cure}"] if text and not partition.part_bytes else []


def _type_problems(partition: PartitionParams) -> list[str]:
    kind = partition.kind
    if kind == "regex":
        return (
            pattern_problems("partition pattern", partition.pattern)
            if partition.pattern
            else ["partition pattern cannot be empty for regex partitioning"]
        )
    if kind == "substring":
        return _range_problems(partition.start_index, partition.end_index)
    if kind == "date":
        return _date_problems(partition.date_format)
    known = "none, object, regex, substring, date, bytes or count"
    if partition.group_by and kind in EVEN:
        return pattern_problems("partition group by", partition.group_by)
    if partition.group_by:
        return [f"partition group by needs the type bytes or count, not {kind}"]
    return [] if kind in ("none", "object", *EVEN) else [f"unsupported partition type {partition.type!r}: use {known}"]


def _range_problems(start: int, end: int) -> list[str]:
    found = [f"partition start index cannot be negative: {start}"] if start < 0 else []
    return found if end > start else [*found, f"partition end index {end} must be greater than start index {start}"]


def _date_problems(layout: str) -> list[str]:
    hint = "write how 2 January 2006 would stand there, such as 2006-01-02 or 2006/01/02"
    if not layout:
        return [f"partition date format cannot be empty for date partitioning: {hint}"]
    if len(layout) > LONGEST_LAYOUT:
        return [f"partition date format has {len(layout)} characters, more than {LONGEST_LAYOUT}: {hint}"]
    return [] if GoLayout(layout).has_date else [f"partition date format {layout!r} names no part of a date: {hint}"]


def whole_problems(partition: PartitionParams | None) -> list[str]:
    """List why a job that runs everywhere, and so has no shares, cannot have this partition."""
    kind = (partition or PartitionParams()).kind
    said = f"partition type {kind} needs a job that is divided by its Count, batch or service: without it"
    return [] if kind == "none" else [f"{said} every node gets all objects"]


def pattern_problems(name: str, pattern: str) -> list[str]:
    """List what is wrong with a pattern, the parameter `name`."""
    label = f"{name} {shorten(pattern)!r}"
    try:
        Pattern(pattern)
    except PatternFault as e:
        return [f"{label} is an invalid regex pattern: {e}"]
    return []
