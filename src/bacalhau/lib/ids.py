"""Identifiers: a one-letter prefix and a UUIDv4, and the short form shown to people."""

import os
import re
import uuid

_UUID = re.compile(r"^(?:[a-z]-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def new_uuid() -> str:
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def new_job_id() -> str:
    return f"j-{new_uuid()}"


def new_execution_id() -> str:
    return f"e-{new_uuid()}"


def new_node_id() -> str:
    return f"n-{new_uuid()}"


def is_full_id(text: str) -> bool:
    """True for a UUID with or without a one-letter prefix."""
    return bool(_UUID.match(text))


def short_id(text: str) -> str:
    """`j-78faf114-…` → `j-78faf114`; other text is returned untouched."""
    if not is_full_id(text):
        return text
    return text[:10] if text[1] == "-" else text[:8]
