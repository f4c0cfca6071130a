"""The options of inputs of all stores on the command line: how objects are shared out, and the digest of one."""

from typing import Any

from bacalhau.lib.errors import BadRequest

CHECKSUM_OPTIONS = (
    "checksum-256",
    "checksum256",
    "checksum_256",
    "checksum-sha256",
    "checksumsha256",
    "checksum_sha256",
)
PARTITION_OPTIONS = {
    "pattern": "Pattern",
    "start-index": "StartIndex",
    "end-index": "EndIndex",
    "date-format": "DateFormat",
    "group-by": "GroupBy",
    "bytes-per-partition": "BytesPerPartition",
}
_NUMBERS = ("start-index", "end-index")


def read_partition(options: dict[str, str]) -> dict[str, Any]:
    """Read how the objects are shared out among the executions of a job with a count. Raises BadRequest."""
    given = {name: value for name, value in options.items() if name in PARTITION_OPTIONS}
    kind = options.get("partition") or ("bytes" if "bytes-per-partition" in given else "")
    if not kind:
        if given:
            raise BadRequest(
                f"option {next(iter(given))} needs a partition type", hint="write opt=partition=TYPE beside it"
            )
        return {}
    found: dict[str, Any] = {"Type": kind}
    for name, value in given.items():
        if name in _NUMBERS and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise BadRequest(f"option {name} must be a whole number from 0, not {value!r}")
        found[PARTITION_OPTIONS[name]] = int(value) if name in _NUMBERS else value
    return {"Partition": found}
