"""Base64 as tokens have it: for URLs, and without the padding at its end."""

import base64


def read_base64url(text: str | bytes) -> bytes:
    """Return the bytes that a part of a token stands for. Raises ValueError for what is no base64."""
    data = text.encode("ascii") if isinstance(text, str) else text
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
