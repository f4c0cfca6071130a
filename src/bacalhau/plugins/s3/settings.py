"""The AWS configuration of this machine as far as it concerns S3: environment and the two files of `~/.aws`.

botocore reads it, so profiles, `services` sections and the order of precedence are those of every AWS program. It takes
a fifth of a second to import, so it is loaded by the first who needs it. What was read holds until a variable or one of
the two files changes.
"""

import asyncio
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bacalhau.lib.errors import StorageFailure

DEFAULT_REGION = "us-east-1"
_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_CHOICES = {
    "s3 addressing_style": ("auto", "path", "virtual"),
    "request_checksum_calculation": ("when_supported", "when_required"),
    "response_checksum_validation": ("when_supported", "when_required"),
}

Fingerprint = tuple[Any, ...]


class Settings(NamedTuple):
    """`endpoint` is the server that the configuration gives for S3, "" for AWS itself. `style` is `auto`, `path` or
    `virtual` (the bucket as a part of the host). The last two say whether checksums go along with a request, and
    whether they are asked for with an answer.
    """

    region: str = DEFAULT_REGION
    endpoint: str = ""
    style: str = "auto"
    is_dualstack: bool = False
    is_fips: bool = False
    sends_checksums: bool = True
    asks_checksums: bool = True


_known: tuple[Fingerprint, Settings] | None = None


def fingerprint() -> Fingerprint:
    """Return a value that changes with the variables and files which the settings and credentials are read from."""
    # Each request asks, and the values of all variables take four times as long to decode as their names alone.
    variables = tuple((name, os.environ.get(name)) for name in os.environ if name.startswith(("AWS_", "HOME")))
    return variables, *(_state(os.environ.get(name) or default) for name, default in _FILES)


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(os.path.expanduser(path))
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


async def current_settings() -> Settings:
    """Return the settings, read in a thread where they changed. Raises StorageFailure."""
    seen = fingerprint()
    known = _known
    return known[1] if known and known[0] == seen else await asyncio.to_thread(read_settings)


def read_settings() -> Settings:
    """Return the settings; blocks for a file where they changed.

    Raises StorageFailure where a file, a profile or a value is wrong.
    """
    global _known
    seen = fingerprint()
    known = _known
    if known and known[0] == seen:
        return known[1]
    with explained():
        found = settings_of(new_session())
    _known = (seen, found)
    return found


def new_session() -> Any:
    """Make a session of botocore, which knows the configuration as it is now."""
    return importlib.import_module("botocore.session").Session()


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors of botocore, and of what it runs or reads, into StorageFailure."""
    try:
        yield
    except (importlib.import_module("botocore.exceptions").BotoCoreError, OSError, RuntimeError, ValueError) as e:
        raise StorageFailure(
            f"s3: cannot read AWS credentials: {e}",
            hint="fix or remove the AWS profile or variables of this machine",
            component="S3",
        ) from e


def settings_of(session: Any) -> Settings:
    """Read the settings of a session."""
    read = session.get_config_variable
    # The nested section of S3 knows some of them by the same names.
    s3 = read("s3") or {}
    convert = importlib.import_module("botocore.utils").ensure_boolean
    return Settings(
        os.environ.get("AWS_REGION") or read("region") or DEFAULT_REGION,
        _endpoint(session),
        _choice("s3 addressing_style", s3.get("addressing_style")),
        convert(s3.get("use_dualstack_endpoint") or read("use_dualstack_endpoint")),
        bool(read("use_fips_endpoint")),
        _choice("request_checksum_calculation", read("request_checksum_calculation")) == "when_supported",
        _choice("response_checksum_validation", read("response_checksum_validation")) == "when_supported",
    )


def _choice(name: str, value: str | None) -> str:
    known = _CHOICES[name]
    found = (value or known[0]).lower()
    if found not in known:
        raise ValueError(f"{name} is {value!r}, and must be one of {', '.join(known)}")
    return found


def _endpoint(session: Any) -> str:
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return ""
    provider = importlib.import_module("botocore.configprovider").ConfiguredEndpointProvider
    found = provider(session.full_config, session.get_scoped_config(), "s3").provide() or ""
    if found and not found.lower().startswith(("http://", "https://")):
        raise ValueError(f"the endpoint of S3 is {found!r}: write it as https://host or http://host:port")
    return str(found)
