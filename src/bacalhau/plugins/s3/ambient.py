"""Credentials and region for S3 where a job does not say: botocore's chain of credentials and its region, and
botocore's signatures.

botocore takes a third of a second to import, so it is loaded in the thread that first needs it.
"""

import asyncio
import importlib
import os
import socket
import time
from types import SimpleNamespace
from typing import Any, NamedTuple

from bacalhau.lib.errors import StorageFailure

DEFAULT_REGION = "us-east-1"
_KEEP_SECONDS = 60
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)
_METADATA_ADDRESS = ("169.254.169.254", 80)
_METADATA_SECONDS = 0.3
# The payload's own digest travels in a signed header, so the signature need not cover the payload again.
_UNSIGNED_PAYLOAD = SimpleNamespace(s3={"payload_signing_enabled": False})


class Ambient(NamedTuple):
    """The settings of this machine: frozen botocore credentials, or None for unsigned requests, and the region."""

    credentials: Any
    region: str

    @property
    def who(self) -> str:
        """The identity as messages show it: `as AKIA…abcd`, never the whole key."""
        key = self.credentials.access_key if self.credentials else ""
        return f"as {key[:4]}…{key[-4:]}" if key else "without credentials"


class AmbientCache:
    """Looks again after a minute, or at once when a variable of the environment that names them has changed."""

    def __init__(self) -> None:
        self._found: Ambient | None = None
        self._seen: tuple[float, tuple[str | None, ...]] = (0.0, ())

    async def current(self) -> Ambient:
        variables = tuple(map(os.environ.get, _VARIABLES))
        found, (since, seen) = self._found, self._seen
        if found is None or seen != variables or time.monotonic() - since > _KEEP_SECONDS:
            if found and seen == variables:
                self._seen = (time.monotonic(), variables)  # one looks, and the others go on with what was known
            found = await asyncio.to_thread(read_ambient)
            self._found, self._seen = found, (time.monotonic(), variables)
        return found


AMBIENT = AmbientCache()


def read_ambient() -> Ambient:
    """Blocks for files and perhaps the network.

    Raises StorageFailure where credentials are configured and cannot be had.
    """
    session = importlib.import_module("botocore.session").Session()
    try:
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
        credentials = _credentials(session)
        return Ambient(credentials.get_frozen_credentials() if credentials else None, region)
    except importlib.import_module("botocore.exceptions").BotoCoreError as e:
        raise StorageFailure(
            f"s3: cannot read AWS credentials: {e}",
            hint="fix or remove the AWS profile or variables of this machine",
            component="S3",
        ) from e


def _credentials(session: Any) -> Any:
    """The machine's metadata service comes last and is asked only if something listens at its address: elsewhere each
    look would cost two seconds.
    """
    chain = session.get_component("credential_provider")
    if not session.get_config_variable("ec2_metadata_service_endpoint") and not _has_metadata_service():
        chain.remove("iam-role")
    return chain.load_credentials()


def _has_metadata_service() -> bool:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true" or os.environ.get("AWS_ACCESS_KEY_ID"):
        return False
    try:
        socket.create_connection(_METADATA_ADDRESS, _METADATA_SECONDS).close()
    except OSError:
        return False
    return True


def signed_headers(ambient: Ambient, region: str, method: str, url: str, headers: dict[str, str]) -> dict[str, str]:
    """`headers` with the signature's own; without credentials they come back as they are.

    Only what must be signed is: x-amz-…
    """
    if not ambient.credentials:
        return dict(headers)
    vendor = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
    request = importlib.import_module("botocore.awsrequest").AWSRequest(method, url, headers=vendor)
    request.context["client_config"] = _UNSIGNED_PAYLOAD
    importlib.import_module("botocore.auth").S3SigV4Auth(ambient.credentials, "s3", region).add_auth(request)
    return headers | dict(request.headers.items())


def presigned_url(ambient: Ambient, region: str, url: str, seconds: int, method: str = "GET") -> str:
    """A request that anyone may do for that long. Needs credentials."""
    request = importlib.import_module("botocore.awsrequest").AWSRequest(method, url)
    importlib.import_module("botocore.auth").S3SigV4QueryAuth(ambient.credentials, "s3", region, seconds).add_auth(
        request
    )
    return str(request.url)
