"""The path of an object under the mount. Pure; `store` is the name of the store in messages."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from bacalhau.border.names import clash, path_fault, shorten
from bacalhau.border.patterns import Pattern
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.ports.storage import Entry

_USUAL_PATH = re.compile(r"(?:[\w-][\w.=-]{0,99}/){0,30}[\w-][\w.=-]{0,99}", re.ASCII)
LONG_KEYS = 300_000  # characters of the keys of a page, which travels in a message of 1 MiB


class Listed(NamedTuple):
    """An object of a listing; `modified` is the time of its last change as the server writes it, "" if it does not."""

    key: str
    size: int
    etag: str
    modified: str = ""


def plan_entries(
    bucket: str, prefix: str, pattern: str, listed: Iterable[Listed], store: str = "s3"
) -> tuple[Entry, ...]:
    """Listed objects as entries. The folder part of `prefix`, up to its last slash, is dropped from each path.

    Keys that end in a slash stand for folders and are left out, as is what `pattern` is not found in (searched in the
    key after `prefix`). Raises StorageFailure for keys that have no safe path, or no path of their own.
    """
    entries = choose_entries(bucket, prefix, pattern, listed, store)
    refuse_clashes(bucket, entries, store)
    return entries


def choose_entries(
    bucket: str, prefix: str, pattern: str, listed: Iterable[Listed], store: str = "s3"
) -> tuple[Entry, ...]:
    """Do as `plan_entries` for a part of a listing: whether two keys have the same path is for who knows all."""
    folder = folder_of(prefix)
    chosen = [each for each in listed if not each.key.endswith("/")]
    if pattern:
        keep = Pattern(pattern)
        chosen = [each for each in chosen if keep.search(each.key.removeprefix(prefix))]
    return tuple(Entry(each.key, safe_path(bucket, each.key, folder, store), each.size, each.etag) for each in chosen)


def folder_of(prefix: str) -> str:
    """Return the folder part of a prefix, up to its last slash."""
    return prefix[: prefix.rfind("/") + 1]


def pick_below(entries: tuple[Entry, ...], only: str) -> tuple[Entry, ...]:
    """Pick the objects at or below a path. Raises NotFound where there are none."""
    wanted = only.strip("/")
    found = tuple(entry for entry in entries if entry.path == wanted or entry.path.startswith(wanted + "/"))
    if wanted and not found:
        raise NotFound(f"the result has no {only}", hint="leave out the path to get the whole result")
    return found if wanted else entries


def check_entries(bucket: str, prefix: str, entries: Iterable[Entry], store: str = "s3") -> None:
    """Check objects that another node may have listed: each is below the job's prefix, under the path of its key.

    Raises StorageFailure.
    """
    folder = folder_of(prefix)
    for entry in entries:
        if not entry.key.strip().startswith(prefix) or safe_path(bucket, entry.key, folder, store) != entry.path:
            said = f"object {shorten(entry.key)!r} was listed for {shorten(prefix)!r}, to which it does not belong"
            raise StorageFailure(
                f"{store}: {said}",
                hint="a node of this system lists wrongly: see the job's history for its name",
                component=store.upper(),
            )


def safe_path(bucket: str, key: str, folder: str, store: str = "s3") -> str:
    """The key without `folder`, doubled slashes and dots folded.

    Raises StorageFailure when it would lead out of the mount, or can be no file.
    """
    rest = key.removeprefix(folder)
    if _USUAL_PATH.fullmatch(rest):  # nearly all of a million, for a quarter of the time
        return rest
    path = "/".join(part for part in rest.split("/") if part not in ("", "."))
    fault = "it would be written outside of the mount"
    if path and ".." not in path.split("/") and (folder or not rest.startswith("/")):
        fault = path_fault(path)
    if fault:
        hint = "rename the object, or choose a prefix or filter that leaves it out"
        said = f"{store}: object {shorten(key)!r} in bucket {bucket} can be no file: {fault}"
        raise StorageFailure(said, hint=hint, component=store.upper())
    return path


def refuse_clashes(bucket: str, entries: tuple[Entry, ...], store: str = "s3") -> None:
    """Raise StorageFailure for two objects that cannot stand side by side in one folder."""
    found = clash(entry.path for entry in entries)
    if found is None:
        return
    first, second = found
    keys = [entry.key for path in dict.fromkeys(found) for entry in entries if entry.path == path]
    said = f"{store}: object {keys[0]!r} in bucket {bucket} cannot be both a file and the folder of {keys[1]!r}"
    if first == second:
        said = f"{store}: objects {keys[0]!r} and {keys[1]!r} in bucket {bucket} would both become {first}"
    raise StorageFailure(said, hint="choose a prefix or filter that leaves one of them out", component=store.upper())
