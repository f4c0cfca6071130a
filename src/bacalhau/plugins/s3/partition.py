"""The shares of executions in the listed objects of a source, as the original makes them.

Pure.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bacalhau.border.patterns import Pattern
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3.godate import GoLayout
from bacalhau.plugins.s3.params import PartitionParams, S3SourceParams
from bacalhau.ports.storage import Entry, Partition

_OFFSET, _PRIME = 0x811C9DC5, 0x01000193
_JOINT = "\x1f"  # between what several groups of a pattern have found


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


def pick_share(params: S3SourceParams, entries: tuple[Entry, ...], part: Partition) -> tuple[Entry, ...]:
    """The entries of one execution; all of them where nothing is divided.

    Raises StorageFailure when nobody can say whose is what.
    """
    partition = params.partition or PartitionParams()
    if partition.kind == "none":
        return entries
    if part.count < 1:
        hint = "use a batch or service job with a Count, or leave Partition out to give every node all objects"
        raise StorageFailure(
            f"s3: partition type {partition.kind} needs a job that is divided by its Count", hint=hint, component="S3"
        )
    if part.count == 1:
        return entries
    marker = _MARKERS[partition.kind](partition)
    return tuple(entry for entry in entries if _owner(marker(_key(params, entry)), part.count) == part.index)


def _key(params: S3SourceParams, entry: Entry) -> _Key:
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
