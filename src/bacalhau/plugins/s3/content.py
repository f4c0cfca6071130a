"""Names of what objects hold, under which a node keeps their bytes for the next task. Pure."""

from collections.abc import Iterable

from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.ports.storage import Content, Entry


def name_of(address: BucketAddress, key: str) -> str:
    """Name an object, or with a prefix the beginning of what lies below it, for people and for the search."""
    return f"{address.endpoint.rstrip('/') or 's3:/'}/{address.bucket}/{key}"


def name_all(address: BucketAddress, entries: Iterable[Entry]) -> list[Content]:
    """Name the bytes of objects: by version or ETag, so that an object that changed has another name. One that its
    server marks with neither has no identity.
    """
    server = address.endpoint.rstrip("/")
    return [
        Content(
            name_of(address, entry.key),
            "\0".join(("s3", server, address.bucket, entry.key, entry.version, entry.etag, str(entry.size)))
            if entry.etag or entry.version
            else "",
        )
        for entry in entries
    ]
