"""The base of every part of the configuration, a frozen struct whose fields are named as in the files, and its special
kinds of value.
"""

from typing import Annotated, NewType, dataclass_transform

import msgspec
from msgspec import Meta

Seconds = NewType("Seconds", float)
"""Written as Go durations in files and flags: `1m30s`."""

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0)]

_ACRONYMS = {
    "api": "API",
    "id": "ID",
    "tls": "TLS",
    "ca": "CA",
    "jwks": "JWKS",
    "uri": "Uri",
    "nats": "NATS",
    "url": "URL",
    "cpu": "CPU",
    "gpu": "GPU",
    "ipfs": "IPFS",
    "s3": "S3",
    "gcs": "GCS",
    "http": "HTTP",
}


def _key_name(field: str) -> str:
    return "".join(_ACRONYMS.get(part) or part.capitalize() for part in field.split("_"))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key_name):
    """A part of the configuration; each field's `Meta` is its documentation."""
