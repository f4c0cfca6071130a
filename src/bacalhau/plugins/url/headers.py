"""Facts about a file from the headers of an answer: its name, its size, its version. Pure."""

import re
import uuid
from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value, parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from bacalhau.border.names import plain_name

_SETTLED_SECONDS = 60
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


def file_name(url: str, disposition: str) -> str:
    """The name that `disposition` (a Content-Disposition, or "") gives, else the last name of the URL's path, else a
    UUID.

    The UUID is always the same for the same URL. The name has no slash and is a legal one.
    """
    last = unquote(urlsplit(url).path).rstrip("/")
    return plain_name(_disposition_name(disposition)) or plain_name(last) or str(uuid.uuid5(uuid.NAMESPACE_URL, url))


def _disposition_name(text: str) -> str:
    """`filename*` before `filename`."""
    if not text:
        return ""
    message = Message()
    message["Content-Disposition"] = " ".join(
        text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split()
    )
    names = [value for name, value in message.get_params([], "content-disposition") if name == "filename"]
    names.sort(key=lambda value: isinstance(value, str))
    return collapse_rfc2231_value(names[0]) if names else ""


def full_size(status: int, headers: Mapping[str, str]) -> int:
    """Bytes of the whole file, -1 when the answer does not say."""
    if status in (206, 416):
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        return int(found[2]) if found and found[2] != "*" else -1
    if status == 204:
        return 0
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and not headers.get("Content-Encoding") else -1


def range_start(headers: Mapping[str, str]) -> int:
    """Return where the bytes of a 206 begin in the file, -1 when that is not said."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(found[1]) if found and found[1] else -1


def strong_etag(headers: Mapping[str, str]) -> str:
    """The ETag if equal ones mean equal bytes, else ""."""
    etag = headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def strong_date(headers: Mapping[str, str]) -> str:
    """Return the Last-Modified if equal ones mean equal bytes, else "": it has no parts of seconds, so a file that was
    just written may change once more within the same one.
    """
    changed = headers.get("Last-Modified", "")
    try:
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(changed)
    except (TypeError, ValueError):
        return ""
    return changed if age.total_seconds() >= _SETTLED_SECONDS else ""


def version_mark(headers: Mapping[str, str]) -> str:
    """Return the text by which If-Range means this version of the file; "" when the server marks none."""
    return strong_etag(headers) or headers.get("Last-Modified", "")
