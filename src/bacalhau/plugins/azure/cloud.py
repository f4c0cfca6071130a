"""Azure Blob Storage: its names and its stores."""

import importlib
from collections.abc import Mapping
from typing import Any

from bacalhau.models.job.overlap import PublisherUse
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.azure.environment import find, own_endpoint
from bacalhau.plugins.azure.params import AzurePublisherParams, AzureResultParams, AzureSourceParams
from bacalhau.plugins.clouds import checks, uri
from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.clouds.params import Place
from bacalhau.ports.publisher import Published, ResultInput


def open_store(place: Place, config: Mapping[str, Any], options: Mapping[str, Any], retry: Mapping[str, Any]) -> Any:
    """Open a container with obstore. `config` are settings that hold credentials."""
    settings: dict[str, Any] = {"account_name": place.account, **config}
    settings["endpoint"] = place.endpoint or f"https://{place.account}.blob.core.windows.net"
    if place.is_anonymous:
        settings["skip_signature"] = True
    store = importlib.import_module("obstore.store")
    return store.AzureStore(place.bucket, config=settings, client_options=dict(options), retry_config=dict(retry))


def name_fault(name: str) -> str:
    """Say why the name of a file cannot be a part of a key; "" when it can."""
    if "\\" in name:
        return "Azure turns \\ into /"
    if any(part.endswith(".") for part in name.split("/")):
        return "Azure leaves out a dot at the end of a name"
    return ""


AZURE = Cloud(
    kind="azure",
    scheme="az",
    title="Azure Blob Storage",
    word="container",
    cure="set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING",
    endpoint_variable="AZURE_STORAGE_ENDPOINT",
    has_accounts=True,
    source=AzureSourceParams,
    publisher=AzurePublisherParams,
    result=AzureResultParams,
    own_endpoint=own_endpoint,
    find=find,
    open=open_store,
    name_fault=name_fault,
)


def read_input(text: str, options: dict[str, str]) -> SpecConfig:
    """Read `az://container/key` as an input source. Raises BadRequest."""
    return uri.read_input(AZURE.kind, AZURE.word, ("account",), text, options)


def read_publisher(text: str, options: dict[str, str]) -> SpecConfig:
    """Read `az://container/key` as a publisher. Raises BadRequest."""
    return uri.read_publisher(AZURE.kind, AZURE.word, ("account",), text, options)


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an input source."""
    return checks.check_source(AZURE, spec)


def check_whole(spec: SpecConfig) -> list[str]:
    """List every problem of an input source of a job that runs everywhere."""
    return checks.check_source(AZURE, spec, is_whole=True)


def check_publisher(spec: SpecConfig) -> list[str]:
    """List every problem of a publisher."""
    return checks.check_publisher(AZURE, spec)


def check_overlap(use: PublisherUse) -> list[str]:
    """List the results of a job that would take the same key."""
    return checks.check_overlap(AZURE, use)


def check_result(published: Published) -> list[str]:
    """List why a report is no result of this execution."""
    return checks.check_result(AZURE, published)


def as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result, or its part at a path."""
    return checks.as_input(AZURE, published, path)
