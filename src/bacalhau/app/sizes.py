"""Amounts of bytes as the configuration gives them."""

from bacalhau.border.printed import LEAST
from bacalhau.config.schema import ComputeLogs
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_bytes


def read_size(key: str, text: str) -> int:
    """Read an amount of bytes, 0 for an empty text. Raises BadRequest naming the key."""
    try:
        return parse_bytes(text) if text else 0
    except ValueError as e:
        raise BadRequest(f"{key}: {text!r} is not an amount of bytes", hint="write it as 32Mb or 4Gb") from e


def output_limit(logs: ComputeLogs) -> int:
    """Return how many bytes of one stream a node keeps. Raises BadRequest when that is too little."""
    key, text = "Compute.Logs.MaxPerStream", logs.max_per_stream
    size = read_size(key, text)
    if size < LEAST:
        raise BadRequest(f"{key}: {text!r} is less than {LEAST} bytes", hint="write it as 32Mb")
    return size
