"""The path of an object under the mount, and the result key that a publisher's key becomes. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from bacalhau.border.names import clash, path_fault, shorten
from bacalhau.border.patterns import Pattern
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3.operation import Listed
from bacalhau.ports.publisher import Result
from bacalhau.ports.storage import Entry


def plan_entries(bucket: str, prefix: str, pattern: str, listed: Iterable[Listed]) -> tuple[Entry, ...]:
    """Listed objects as entries. The folder part of `prefix`, up to its last slash, is dropped from each path.

    Keys that end in a slash stand for folders and are left out, as is what `pattern` is not found in (searched in the
    key after `prefix`). Raises StorageFailure for keys that have no safe path, or no path of their own.
    """
    entries = choose_entries(bucket, prefix, pattern, listed)
    _refuse_clashes(bucket, entries)
    return entries


def choose_entries(bucket: str, prefix: str, pattern: str, listed: Iterable[Listed]) -> tuple[Entry, ...]:
    """Do as `plan_entries` for a part of a listing: whether two keys have the same path is for who knows all."""
    folder = prefix[: prefix.rfind("/") + 1]
    chosen = [each for each in listed if not each.key.endswith("/")]
    if pattern:
        keep = Pattern(pattern)
        chosen = [each for each in chosen if keep.search(each.key.removeprefix(prefix))]
    return tuple(Entry(each.key, safe_path(bucket, each.key, folder), each.size, each.etag) for each in chosen)


def check_entries(bucket: str, prefix: str, entries: Iterable[Entry]) -> None:
    """Check objects that another node may have listed: each is below the job's prefix, under the path of its key.

    Raises StorageFailure.
    """
    folder = prefix[: prefix.rfind("/") + 1]
    for entry in entries:
        if not entry.key.strip().startswith(prefix) or safe_path(bucket, entry.key, folder) != entry.path:
            raise StorageFailure(
                f"s3: object {shorten(entry.key)!r} was listed for {shorten(prefix)!r}, to which it does not belong",
                hint="a node of this system lists wrongly: see the job's history for its name",
                component="S3",
            )


def safe_path(bucket: str, key: str, folder: str) -> str:
    """The key without `folder`, doubled slashes and dots folded.

    Raises StorageFailure when it would lead out of the mount, or can be no file.
    """
    rest = key.removeprefix(folder)
    path = "/".join(part for part in rest.split("/") if part not in ("", "."))
    fault = "it would be written outside of the mount"
    if path and ".." not in path.split("/") and (folder or not rest.startswith("/")):
        fault = path_fault(path)
    if fault:
        hint = "rename the object, or choose a prefix or filter that leaves it out"
        said = f"s3: object {shorten(key)!r} in bucket {bucket} can be no file: {fault}"
        raise StorageFailure(said, hint=hint, component="S3")
    return path


def _refuse_clashes(bucket: str, entries: tuple[Entry, ...]) -> None:
    found = clash(entry.path for entry in entries)
    if found is None:
        return
    first, second = found
    keys = [entry.key for path in dict.fromkeys(found) for entry in entries if entry.path == path]
    said = f"s3: object {keys[0]!r} in bucket {bucket} cannot be both a file and the folder of {keys[1]!r}"
    if first == second:
        said = f"s3: objects {keys[0]!r} and {keys[1]!r} in bucket {bucket} would both become {first}"
    raise StorageFailure(said, hint="choose a prefix or filter that leaves one of them out", component="S3")


def with_suffix(key: str, *, is_plain: bool) -> str:
    """Add to a publisher's key the suffix that its encoding asks for, once."""
    suffix = "/" if is_plain else ".tar.gz"
    return key if key.endswith(suffix) else key + suffix


def fill_key(key: str, result: Result, *, is_plain: bool) -> str:
    """The publisher's key with the suffix its encoding asks for and its placeholders filled in; date and
    time are UTC.
    """
    started = datetime.fromtimestamp(result.started // 1_000_000_000, UTC)
    values = {
        "jobID": result.job_id,
        "executionID": result.execution_id,
        "nodeID": result.node_id,
        "date": started.strftime("%Y%m%d"),
        "time": started.strftime("%H%M%S"),
    }
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), with_suffix(key, is_plain=is_plain))
