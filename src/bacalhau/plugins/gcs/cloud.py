"""Google Cloud Storage: its credentials, as Google's own programs find them, and its stores."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bacalhau.models.job.overlap import PublisherUse
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.clouds import checks, uri
from bacalhau.plugins.clouds.cloud import Cloud, Identity
from bacalhau.plugins.clouds.metadata import MetadataService
from bacalhau.plugins.clouds.params import Place, PublisherParams, ResultParams, SourceParams
from bacalhau.ports.publisher import Published, ResultInput

_VARIABLES = {  # of files and keys, in the order in which obstore looks at them
    "GOOGLE_SERVICE_ACCOUNT_KEY": "the service account of GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT": "the service account of GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH": "the service account of GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_BEARER_TOKEN": "the bearer of GOOGLE_BEARER_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS": "the account of GOOGLE_APPLICATION_CREDENTIALS",
}
_DEFAULT_FILE = ".config/gcloud/application_default_credentials.json"
METADATA = MetadataService(
    "/", {"Metadata-Flavor": "Google"}, lambda answer: answer.headers.get("Metadata-Flavor", "") == "Google"
)


def own_endpoint() -> str:
    """Return the endpoint that the environment names, "" for Google's own."""
    return os.environ.get("GOOGLE_BASE_URL", "").rstrip("/")


def find(place: Place) -> tuple[Place, Identity]:
    """Find the credentials for a place; looks for the metadata service of a machine in Google's cloud."""
    identity = Identity() if place.is_anonymous else _identity()
    endpoint = place.endpoint or own_endpoint()
    return place._replace(endpoint=endpoint, is_anonymous=not identity.who), identity


def _identity() -> Identity:
    for name, who in _VARIABLES.items():
        if os.environ.get(name):
            return Identity(who)
    if (Path.home() / _DEFAULT_FILE).is_file():
        return Identity(f"the account of ~/{_DEFAULT_FILE}")
    return Identity("the service account of this machine") if METADATA.is_there() else Identity()


def open_store(place: Place, config: Mapping[str, Any], options: Mapping[str, Any], retry: Mapping[str, Any]) -> Any:
    """Open a bucket with obstore. `config` are settings that hold credentials."""
    settings = dict(config)
    if place.endpoint:
        settings["base_url"] = place.endpoint
    if place.is_anonymous:
        settings["skip_signature"] = True
    store = importlib.import_module("obstore.store")
    return store.GCSStore(place.bucket, config=settings, client_options=dict(options), retry_config=dict(retry))


def name_fault(name: str) -> str:
    """Say why the name of a file cannot be a part of a key: never."""
    return ""


GCS = Cloud(
    kind="gcs",
    scheme="gs",
    title="Google Cloud Storage",
    word="bucket",
    cure="set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run `gcloud auth application-default"
    " login`",
    endpoint_variable="GOOGLE_BASE_URL",
    has_accounts=False,
    source=SourceParams,
    publisher=PublisherParams,
    result=ResultParams,
    own_endpoint=own_endpoint,
    find=find,
    open=open_store,
    name_fault=name_fault,
)


def read_input(text: str, options: dict[str, str]) -> SpecConfig:
    """Read `gs://bucket/key` as an input source. Raises BadRequest."""
    return uri.read_input(GCS.kind, GCS.word, (), text, options)


def read_publisher(text: str, options: dict[str, str]) -> SpecConfig:
    """Read `gs://bucket/key` as a publisher. Raises BadRequest."""
    return uri.read_publisher(GCS.kind, GCS.word, (), text, options)


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an input source."""
    return checks.check_source(GCS, spec)


def check_whole(spec: SpecConfig) -> list[str]:
    """List every problem of an input source of a job that runs everywhere."""
    return checks.check_source(GCS, spec, is_whole=True)


def check_publisher(spec: SpecConfig) -> list[str]:
    """List every problem of a publisher."""
    return checks.check_publisher(GCS, spec)


def check_overlap(use: PublisherUse) -> list[str]:
    """List the results of a job that would take the same key."""
    return checks.check_overlap(GCS, use)


def check_result(published: Published) -> list[str]:
    """List why a report is no result of this execution."""
    return checks.check_result(GCS, published)


def as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result, or its part at a path."""
    return checks.as_input(GCS, published, path)
