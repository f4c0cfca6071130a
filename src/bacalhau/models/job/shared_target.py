"""Files from the web whose inputs name the same folder, which then stand in it side by side."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import unquote

from msgspec.structs import replace

from bacalhau.border.names import plain_name
from bacalhau.models.job.job import InputSource


def place_side_by_side(inputs: Sequence[InputSource]) -> tuple[InputSource, ...]:
    """Give each file from the web a place of its own in the folder that several inputs have as their target.

    The place is named after the last part of the URL. Inputs that share their target with nobody stay as they are, and
    so do URLs without a name in them.
    """
    shared = Counter(posixpath.normpath(item.target) for item in inputs)
    return tuple(
        _as_file(item) if item.source.kind == "urldownload" and shared[posixpath.normpath(item.target)] > 1 else item
        for item in inputs
    )


def _as_file(item: InputSource) -> InputSource:
    params = item.source.params or {}
    path = re.split(r"[?#]", str(params.get("URL", "")).partition("://")[2])[0].partition("/")[2]
    name = plain_name(unquote(path.strip(" \"'/")))
    if not name:
        return item
    source = replace(item.source, params=params | {"AsFile": True})
    return replace(item, source=source, target=posixpath.join(item.target, name))
