"""The SHA-256 of an object as people and servers write it. Pure."""

import base64
import binascii
import re

_COMPOSITE = re.compile(r"([A-Za-z0-9+/]{43}=)-[0-9]{1,5}")


def full_checksum(text: str) -> str:
    """Write a SHA-256 as base64, given that or hex, also 0x…; a composite `base64-N` stays. Raises ValueError."""
    clean = text.strip()
    if _COMPOSITE.fullmatch(clean):
        return clean
    digits = clean.lower().removeprefix("0x")
    try:
        raw = bytes.fromhex(digits) if len(digits) == 64 else base64.b64decode(clean, validate=True)
    except binascii.Error as e:
        raise ValueError(text) from e
    if len(raw) != 32:
        raise ValueError(text)
    return base64.b64encode(raw).decode()


def is_composite(checksum: str) -> bool:
    """Tell whether it is a digest of digests of parts, which says nothing about the bytes as a whole."""
    return "-" in checksum
