"""Names and texts of strangers: the path that an untrusted name may become, and the form in which people see it."""

import os
import re
from collections.abc import Iterable, Mapping

from bacalhau.lib.errors import BadRequest

# Control characters of terminals, and marks that reorder or hide the text around them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_IDENTIFIER = re.compile(r"[^\W_](?:[\w.:@-]{0,253}[^\W_])?")
_REFUSED = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, as systems have them
_KEPT = "\n\t"
ID_WORDS = "an id, or its beginning: letters, digits and . _ : @ - without '..'"
NAME_WORDS = "an id or a name without control characters and without '.' or '..' between slashes"


def has_control(text: str) -> bool:
    """Tell whether a text has characters that a terminal obeys, or that hide or reorder others."""
    return _UNSEEN.search(text) is not None


def shown(text: str) -> str:
    """Write text of strangers for a terminal: what a terminal would obey is escaped, lines and tabs stay."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in _KEPT else ascii(found[0])[1:-1], text)


def escaped(text: str) -> str:
    """Write the same characters as JSON and double-quoted YAML do, so that a program reads what was meant."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in _KEPT else f"\\u{ord(found[0]):04x}", text)


def shorten(text: str, length: int = 80) -> str:
    """Cut a text of strangers for a message, with dots where something is missing."""
    return text if len(text) <= length else text[: length - 3] + "..."


def is_identifier(text: str) -> bool:
    """Tell whether a text can be the id of a job, execution, evaluation or node."""
    return _IDENTIFIER.fullmatch(text) is not None and ".." not in text and len(text.encode()) <= 255


def starts_identifier(text: str) -> bool:
    """Tell whether an id can begin with a text: clients may shorten ids."""
    return is_identifier(f"{text}0")


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a job or a namespace, as people write them: with blanks and slashes, but
    without control characters, and nowhere a step out of a folder.
    """
    return not has_control(text) and not {".", ".."} & {*text.split("/")}


def control_problem(field: str, text: str) -> str:
    """Say that a field holds characters that a terminal obeys, or that hide others; "" when it does not."""
    return f"{field} {shorten(text)!r} has control characters: leave them out" if has_control(text) else ""


def label_problems(labels: Mapping[str, str], field: str) -> list[str]:
    """List what is wrong with the names and values of labels: control characters."""
    told = [control_problem(field, name) or control_problem(f"{field} {name}:", labels[name]) for name in labels]
    return [problem for problem in told if problem]


def require_start_of_id(text: str, field: str) -> str:
    """Return a text that an id can begin with. Raises BadRequest naming the field."""
    if not starts_identifier(text):
        raise BadRequest(f"{field} must be {ID_WORDS}, not {shorten(text)!r}")
    return text


def require_name(text: str, field: str) -> str:
    """Return a text that can be a job's id or name, or a namespace. Raises BadRequest naming the field."""
    if not is_name(text):
        raise BadRequest(f"{field} must be {NAME_WORDS}, not {shorten(text)!r}")
    return text


def name_fault(name: str) -> str:
    """Say why a single name cannot become a file; "" when it can. Of control characters only a tab may stand in it."""
    if name in ("", ".", ".."):
        return f"{name!r} is no name of a file"
    if "/" in name or os.sep in name:
        return f"{name!r} has a slash"
    if _REFUSED.search(name):
        return f"{name!r} has control characters"
    if len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
        return f"{name[:40]!r}... is longer than 255 bytes"
    return ""


def path_fault(path: str) -> str:
    """Say why a relative path, names with slashes between, can be none of a file; "" when it can."""
    return next(filter(None, map(name_fault, path.split("/"))), "") or length_fault(path)


def length_fault(path: str) -> str:
    """Say why a relative path, whose names are sound, is longer than systems take; "" when it is not."""
    size = len(path.encode("utf-8", "surrogateescape"))
    return f"{path[:40]!r}... has {size} bytes, more than {LONGEST_PATH}" if size > LONGEST_PATH else ""


def plain_name(text: str) -> str:
    """Make a name of a file out of a stranger's text: what stands after its last slash, without control characters,
    cut to the length that a name may have; "" where nothing is left of it.
    """
    name = re.sub(r"[\0-\x1f\x7f]", "", re.split(r"[/\\]", text)[-1]).strip()
    if name in (".", ".."):
        return ""
    return name.encode(errors="replace")[:LONGEST_NAME].decode(errors="ignore")


def clash(paths: Iterable[str]) -> tuple[str, str] | None:
    """Find two relative paths that cannot both be files: the same one twice, or one that is a folder of the other.
    None where there are none.
    """
    files: set[str] = set()
    folders: dict[str, str] = {}
    for path in paths:
        if path in files:
            return path, path
        files.add(path)
        at = path.rfind("/")
        while at > 0 and (folder := path[:at]) not in folders:
            folders[folder] = path
            at = folder.rfind("/")
    return next(((folder, path) for folder, path in folders.items() if folder in files), None)
