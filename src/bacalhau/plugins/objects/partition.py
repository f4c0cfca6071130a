"""The shares of executions in the listed objects of a source, as the original makes them.

Pure.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from bacalhau.border.patterns import Pattern
from bacalhau.lib.balance import share_out
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.inventory import name_group, weigh
from bacalhau.plugins.objects.godate import GoLayout
from bacalhau.plugins.objects.shares import EVEN, PartitionParams
from bacalhau.ports.storage import Entry, Partition, Sharing

_OFFSET, _PRIME = 0x811C9DC5, 0x01000193
_JOINT = "\x1f"  # between what several groups of a pattern have found


class Shared(Protocol):
    """The parameters of a source that shares its objects out."""

    @property
    def prefix(self) -> str: ...

    @property
    def partition(self) -> PartitionParams | None: ...


class _Key(NamedTuple):
    """An object's key, and what is left of it after the job's prefix and one slash."""

    full: str
    relative: str


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of the text's UTF-8 bytes."""
    value = _OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _PRIME & 0xFFFFFFFF
    return value


def pick_share(params: Shared, entries: tuple[Entry, ...], part: Partition) -> tuple[Entry, ...]:
    """The entries of one execution; all of them where nothing is divided.

    Raises StorageFailure when nobody can say whose is what.
    """
    sharing = sharing_of(params, part.count)
    if sharing.mark is None:
        return entries
    marks = [sharing.mark(entry) for entry in entries]
    owners = marks if sharing.by == "owner" else _even(sharing.by, entries, marks, part.count)
    return tuple(entry for entry, owner in zip(entries, owners, strict=True) if owner == part.index)


def sharing_of(params: Shared, count: int) -> Sharing:
    """Say how a job of `count` partitions shares out the objects of its source.

    Raises StorageFailure when nobody can say whose is what.
    """
    partition = params.partition or PartitionParams()
    if partition.kind == "none":
        return Sharing()
    if count < 1:
        hint = "use a batch or service job with a Count, or leave Partition out to give every node all objects"
        raise StorageFailure(f"partition type {partition.kind} needs a job that is divided by its Count", hint=hint)
    if count == 1:
        return Sharing()
    if partition.kind in EVEN:
        return Sharing(partition.kind, _grouping(params, partition))
    marker = _MARKERS[partition.kind](partition)
    return Sharing("owner", lambda entry: _owner(marker(_key(params, entry)), count))


def _even(by: str, entries: tuple[Entry, ...], marks: Sequence[int | str], count: int) -> list[int]:
    """Share groups of entries out, so that the shares have about the same bytes or number of objects."""
    names = [name_group(entry.key, str(mark)) for entry, mark in zip(entries, marks, strict=True)]
    weights = Counter[str]()
    for name, entry in zip(names, entries, strict=True):
        weights[name] += weigh(by, entry.size)
    shares = dict(share_out(sorted(weights.items(), key=lambda item: (-item[1], item[0])), count))
    return [shares[name] for name in names]


def _grouping(params: Shared, partition: PartitionParams) -> Callable[[Entry], str]:
    """Name the group of an object by what the pattern `GroupBy` finds in its key; "" where it finds nothing."""
    if not partition.group_by:
        return lambda _: ""
    marker = _by_regex(PartitionParams(pattern=partition.group_by))
    return lambda entry: marker(_key(params, entry)) or ""


def _key(params: Shared, entry: Entry) -> _Key:
    return _Key(entry.key, entry.key.removeprefix(params.prefix).removeprefix("/"))


def _owner(mark: str | None, count: int) -> int:
    """Return the index of the execution that gets an object; one without a mark is the first execution's."""
    return 0 if mark is None else fnv1a(mark) % count


Marker = Callable[[_Key], str | None]


def _by_object(_: PartitionParams) -> Marker:
    return lambda key: key.full


def _by_regex(partition: PartitionParams) -> Marker:
    pattern = Pattern(partition.pattern)

    def mark(key: _Key) -> str | None:
        found = pattern.search(key.relative)
        if found is None:
            return None
        return _JOINT.join(filter(None, found[1:])) or found[0] or None

    return mark


def _by_substring(partition: PartitionParams) -> Marker:
    start, end = partition.start_index, partition.end_index
    return lambda key: key.relative[start:end] if len(key.relative) >= end else None


def _by_date(partition: PartitionParams) -> Marker:
    layout = GoLayout(partition.date_format)
    return lambda key: layout.canonical(key.relative)


_MARKERS: Mapping[str, Callable[[PartitionParams], Marker]] = {
    "object": _by_object,
    "regex": _by_regex,
    "substring": _by_substring,
    "date": _by_date,
}
