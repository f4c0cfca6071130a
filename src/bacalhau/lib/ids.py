"""Identifiers: a one-letter prefix and a UUIDv4, and the short form shown to people."""

import hashlib
import os
import random
import re

_UUID = re.compile(r"^(?:[a-z]-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


_random = random.Random(os.urandom(32))


def new_uuid() -> str:
    """A UUIDv4.

    Ids name things and open nothing, so a generator seeded once per process will do: the kernel's is 50 times slower.
    """
    return _as_uuid(f"{_random.getrandbits(128):032x}")


def _as_uuid(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def evaluation_id(job_id: str, version: int, made: int) -> str:
    """Derive the id of the evaluation of a job of which `made` executions of that version exist already. It is the same
    whoever asks, so it is stored nowhere by itself.
    """
    return _as_uuid(hashlib.blake2b(f"{job_id}/{version}/{made}".encode(), digest_size=16).hexdigest())


def new_job_id() -> str:
    return f"j-{new_uuid()}"


def new_execution_id() -> str:
    return f"e-{new_uuid()}"


def new_node_id() -> str:
    return f"n-{new_uuid()}"


def is_full_id(text: str) -> bool:
    """Tell whether a text is a UUID, with or without a one-letter prefix."""
    return bool(_UUID.match(text))


def short_id(text: str) -> str:
    """`j-78faf114-…` → `j-78faf114`; other text is returned untouched."""
    if not is_full_id(text):
        return text
    return text[:10] if text[1] == "-" else text[:8]
