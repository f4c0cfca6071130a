"""The credentials for Azure Blob Storage in the environment of this machine.

They are named as Azure's own command line names them, and as obstore does; a connection string holds several at once.
"""

import http.client
import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.clouds.cloud import Identity
from bacalhau.plugins.clouds.metadata import MetadataService
from bacalhau.plugins.clouds.params import Place

_ACCOUNT = ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
_KEY = ("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY")
_TOKEN = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
_ENDPOINT = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_OF_A_PERSON = {  # credentials that are not of one account alone; obstore reads them by itself
    "AZURE_STORAGE_TOKEN": "the bearer of AZURE_STORAGE_TOKEN",
    "AZURE_CLIENT_SECRET": "the client of AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE": "the workload of AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USE_AZURE_CLI": "the user of `az login`",
    "AZURE_MSI_ENDPOINT": "the managed identity of this machine",
    "AZURE_IDENTITY_ENDPOINT": "the managed identity of this machine",
}
METADATA = MetadataService(
    "/metadata/versions",
    {"Metadata": "true"},
    lambda answer: answer.status == http.client.OK and b"apiVersions" in answer.read(4096),
)


class Environment(NamedTuple):
    """The account that the environment names, its credentials and its endpoint; each "" where there is none."""

    account: str = ""
    key: str = ""
    token: str = ""
    endpoint: str = ""


def read_environment() -> Environment:
    """Read the environment. A variable of its own goes before the same thing in the connection string."""
    given = _read_connection(os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    account = _first(_ACCOUNT) or given.get("accountname", "")
    endpoint = _first(_ENDPOINT) or given.get("blobendpoint", "")
    suffix = given.get("endpointsuffix", "")
    if suffix and account and not endpoint:
        endpoint = f"{given.get('defaultendpointsprotocol', 'https')}://{account}.blob.{suffix}"
    key, token = _first(_KEY) or given.get("accountkey", ""), _first(_TOKEN) or given.get("sharedaccesssignature", "")
    return Environment(account or _account_of(endpoint), key, token.removeprefix("?"), endpoint.rstrip("/"))


def _read_connection(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(";") if part]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _first(names: tuple[str, ...]) -> str:
    return next(filter(None, (os.environ.get(name, "") for name in names)), "")


def own_endpoint() -> str:
    """Return the endpoint that the environment names, "" for Azure's own."""
    return read_environment().endpoint


def find(place: Place) -> tuple[Place, Identity]:
    """Find the account and the credentials for a place.

    A key or a signature is for the account of the environment alone: another account that a job names is asked without.
    Raises StorageFailure where a container is of no account.
    """
    known = read_environment()
    account = place.account or _account_of(place.endpoint) or known.account
    if place.bucket and not account:
        said = f"azure: container {place.bucket} is of no account"
        hint = "name it with opt=account=NAME (Account in job files), or set AZURE_STORAGE_ACCOUNT on this machine"
        raise StorageFailure(said, hint=hint, component="AZURE")
    is_own = account == known.account
    endpoint = place.endpoint or (known.endpoint if is_own else "")
    identity = Identity() if place.is_anonymous else _identity(known, is_own=is_own)
    found = place._replace(account=account, endpoint=endpoint, is_anonymous=not identity.who)
    return found, identity


def _account_of(endpoint: str) -> str:
    """Read the account that an endpoint is of: its path, or the first part of its host."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def _identity(known: Environment, *, is_own: bool) -> Identity:
    if is_own and known.account and known.key:
        return Identity(f"account {known.account}", _only("access_key", account_key=known.key))
    if is_own and known.account and known.token:
        return Identity(f"a signature of account {known.account}", _only("sas_token", sas_key=known.token))
    if known.key or known.token:
        return Identity()
    for name, who in _OF_A_PERSON.items():
        if os.environ.get(name):
            return Identity(who)
    return Identity("the managed identity of this machine") if METADATA.is_there() else Identity()


def _only(kind: str, **settings: str) -> Mapping[str, Any]:
    return {"credential_type": kind, **settings}
