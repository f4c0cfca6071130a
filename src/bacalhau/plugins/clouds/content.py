"""Names of what the objects of a cloud hold, under which a node keeps their bytes for the next task. Pure."""

from collections.abc import Iterable

from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.clouds.params import Place
from bacalhau.ports.storage import Content, Entry


def name_of(cloud: Cloud, place: Place, key: str) -> str:
    """Name an object, or with a prefix the beginning of what lies below it, for people and for the search. `place` is
    as this machine finds it: containers of two accounts may have one name.
    """
    server = place.endpoint or "/".join(filter(None, (f"{cloud.scheme}:/", place.account)))
    return f"{server}/{place.bucket}/{key}"


def name_all(cloud: Cloud, place: Place, entries: Iterable[Entry]) -> list[Content]:
    """Name the bytes of objects: by ETag, which is compared when they come, so that an object that changed has another
    name. One that its server marks with none has no identity.
    """
    where = (cloud.kind, place.endpoint, place.account, place.bucket)
    return [
        Content(
            name_of(cloud, place, entry.key),
            "\0".join((*where, entry.key, entry.version, entry.etag, str(entry.size))) if entry.etag else "",
        )
        for entry in entries
    ]
