"""The keys of results in a bucket: what a publisher's key becomes, and whose result a key can be. Pure."""

import re
from datetime import UTC, datetime

from bacalhau.border.names import shorten
from bacalhau.models.job.overlap import NODES, ONCE, PARTS, PublisherUse
from bacalhau.ports.publisher import Published, Result

PLACEHOLDERS = ("jobID", "executionID", "nodeID", "date", "time")
_DIGITS = {"date": 8, "time": 6}


def key_problems(key: str) -> list[str]:
    """List what is wrong with the key of a publisher."""
    if not key.strip():
        return ["key cannot be empty"]
    if key[0].isspace():
        return [
            f"key {shorten(key)!r} begins with white space, which is left out where the result is read: leave it out"
        ]
    if len(key.encode()) > 900:
        return ["key is longer than stores allow: 1024 bytes with its placeholders filled in"]
    names = re.findall(r"\{([^{}]*)\}", key)
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    return [
        f"unknown placeholder {{{name}}} in key {key!r}: known are {known}"
        for name in names
        if name not in PLACEHOLDERS
    ]


def overlap_problems(scheme: str, key: str, use: PublisherUse) -> list[str]:
    """List the results of a job that would take the same key."""
    own = {ONCE: ("jobID", "executionID"), PARTS: ("executionID",), NODES: ("executionID", "nodeID")}[use.results]
    if any(f"{{{name}}}" in key for name in own):
        return []
    whose = {
        ONCE: "this job and of others that name it",
        PARTS: "the partitions of the job",
        NODES: "the nodes of the job",
    }[use.results]
    said = f"{scheme} key {shorten(key)!r} is the same for results of {whose}, which replace one another"
    return [f"{said}: put {{{own[0]}}} into it, or set Overwrite: true (-p {scheme}://…,opt=overwrite=true)"]


def with_suffix(key: str, *, is_plain: bool) -> str:
    """Add to a publisher's key the suffix that its encoding asks for, once."""
    suffix = "/" if is_plain else ".tar.gz"
    return key if key.endswith(suffix) else key + suffix


def fill_key(key: str, result: Result, *, is_plain: bool) -> str:
    """The publisher's key with the suffix its encoding asks for and its placeholders filled in; date and
    time are UTC.
    """
    started = datetime.fromtimestamp(result.started // 1_000_000_000, UTC)
    values = {
        "jobID": result.job_id,
        "executionID": result.execution_id,
        "nodeID": result.node_id,
        "date": started.strftime("%Y%m%d"),
        "time": started.strftime("%H%M%S"),
    }
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), with_suffix(key, is_plain=is_plain))


def is_key_of(key: str, wanted: str, published: Published, *, is_plain: bool) -> bool:
    """Tell whether the publisher can give this execution that key. Dates and times have one length, so that each part
    of the key has one place.
    """
    values = {"jobID": published.job_id, "executionID": published.execution_id, "nodeID": published.node_id}
    at = 0
    for number, part in enumerate(re.split(r"\{(\w+)\}", with_suffix(wanted, is_plain=is_plain))):
        if number % 2 and (digits := _DIGITS.get(part)):
            there = key[at : at + digits]
            fits, at = len(there) == digits and there.isascii() and there.isdecimal(), at + digits
        else:
            text = values.get(part, f"{{{part}}}") if number % 2 else part
            fits, at = key.startswith(text, at), at + len(text)
        if not fits:
            return False
    return at == len(key)
