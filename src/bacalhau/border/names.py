"""Names and texts of strangers: the path that an untrusted name may become, and the form in which people see it."""

import os
import re
import unicodedata
from collections.abc import Iterable

# Control characters of terminals, and marks that reorder or hide the text around them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_IDENTIFIER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:@-]{0,253}[A-Za-z0-9])?")
_KEPT = "\n\t"


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
    """Tell whether a client may use a text as the identifier of a job, execution, node or namespace."""
    return _IDENTIFIER.fullmatch(text) is not None and ".." not in text


def name_fault(name: str) -> str:
    """Say why a single name cannot become a file; "" when it can. Of control characters only a tab may stand in it."""
    if name in ("", ".", ".."):
        return f"{name!r} is no name of a file"
    if "/" in name or os.sep in name:
        return f"{name!r} has a slash"
    if any((ord(letter) < 32 and letter != "\t") or letter == "\x7f" for letter in name):
        return f"{name!r} has control characters"
    if len(name.encode("utf-8", "surrogateescape")) > 255:
        return f"{name[:40]!r}... is longer than 255 bytes"
    return ""


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Find two names that some file systems take for one, by case or Unicode form; None where all differ."""
    met: dict[str, str] = {}
    for name in names:
        other = met.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()), name)
        if other != name:
            return other, name
    return None
