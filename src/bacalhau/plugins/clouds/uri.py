"""The clouds on the command line: `gs://bucket/key` and `az://container/key`, as inputs and as publishers."""

from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import (
    SELECTION_OPTIONS,
    host_and_path,
    parse_bool,
    read_selection,
    refuse_options,
    scheme_of,
)
from bacalhau.plugins.objects.options import CHECKSUM_OPTIONS, PARTITION_OPTIONS, read_partition

_NAMES = {"endpoint": "Endpoint", "account": "Account", "filter": "Filter", "encoding": "Encoding", "key": "Key"}
_NAMES |= dict.fromkeys(CHECKSUM_OPTIONS, "ChecksumSHA256")
_SWITCHES = {
    "anonymous": "Anonymous",
    "allow-empty": "AllowEmpty",
    "overwrite": "Overwrite",
    "writable": "Writable",
}
_INPUT_OPTIONS = (
    "endpoint",
    "anonymous",
    "allow-empty",
    "writable",
    "filter",
    *CHECKSUM_OPTIONS,
    *SELECTION_OPTIONS,
    "partition",
    *PARTITION_OPTIONS,
)


def read_input(kind: str, word: str, more: tuple[str, ...], uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `gs://bucket/key` with its options as an input source of type `kind`; `word` is what the cloud calls a
    bucket, `more` are options of this cloud alone. Raises BadRequest.
    """
    refuse_options(options, (*_INPUT_OPTIONS, *more), f"storage {kind}")
    bucket, key = host_and_path(uri)
    if not bucket:
        cure = f"write {scheme_of(uri)}://{word.upper()}/KEY in place of {uri}"
        raise BadRequest(f"invalid {kind} storage params: {word} cannot be empty", hint=cure)
    params = {word.capitalize(): bucket, "Key": key.lstrip("/")} | _read(options)
    return SpecConfig(type=kind, params=params | read_selection(options) | read_partition(options))


def read_publisher(kind: str, word: str, more: tuple[str, ...], uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `gs://bucket/key`, or the bare name of the type, with its options as a publisher. Raises BadRequest."""
    refuse_options(options, (word, "key", "endpoint", "encoding", "overwrite", *more), f"publisher {kind}")
    bucket, path = host_and_path(uri) if scheme_of(uri) else (options.get(word, ""), "")
    params = {word.capitalize(): bucket, "Key": path.lstrip("/")} | _read(options)
    for name in (word.capitalize(), "Key"):
        if not params[name]:
            hint = "with {date}, {time}, {jobID} or {executionID} in the key where wanted"
            cure = f"write {scheme_of(uri) or kind}://{word.upper()}/KEY, {hint}, in place of {uri}"
            raise BadRequest(f"invalid {kind} params. {name.lower()} cannot be empty", hint=cure)
    return SpecConfig(type=kind, params=params)


def _read(options: dict[str, str]) -> dict[str, Any]:
    """Read options under the names of their parameters. Raises BadRequest."""
    found: dict[str, Any] = {_NAMES[name]: text for name, text in options.items() if name in _NAMES}
    return found | {_SWITCHES[name]: parse_bool(options[name], name) for name in options if name in _SWITCHES}
