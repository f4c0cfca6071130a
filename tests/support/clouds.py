"""The clouds of the tests, each a server that speaks the cloud's protocol, filled by another program than ours.

Google's XML API is the part of S3 that moto speaks, with a bearer's token in place of a signature. The root conftest
makes these fixtures known to all tests.
"""

import importlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.azure.cloud import AZURE
from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.gcs.cloud import GCS
from tests.support.azurite import ACCOUNT, KEY, azurite
from tests.support.s3 import S3

_numbers = itertools.count(1)


class CloudServer(NamedTuple):
    """A running server: `create` makes a bucket, `put` and `remove` objects of one, `read` returns all of a bucket,
    `open_to_all` lets anybody read one.

    `word` is the parameter that names a bucket.
    """

    cloud: Cloud
    url: str
    word: str
    create: Callable[[str], Any]
    put: Callable[[str, str, bytes], Any]
    remove: Callable[[str, str], Any]
    read: Callable[[str], dict[str, bytes]]
    open_to_all: Callable[[str], Any]

    @property
    def server(self) -> str:
        """The URL without the path that names an account."""
        return self.url.removesuffix(self.path)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def new_bucket(self) -> str:
        name = f"cloud{os.getpid()}n{next(_numbers)}"  # moto does not decode an escaped dash
        self.create(name)
        return name

    def fill(self, bucket: str, objects: dict[str, bytes]) -> None:
        for key, body in objects.items():
            self.put(bucket, key, body)

    def spec(self, bucket: str, key: str, **params: object) -> SpecConfig:
        return SpecConfig(type=self.cloud.kind, params={self.word: bucket, "Key": key, **params})


@pytest.fixture
def bare_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process no credentials but those that are given next: a test may use several clouds."""
    clear_clouds(monkeypatch)


@pytest.fixture
def gcs(moto: S3, bare_clouds: None, monkeypatch: pytest.MonkeyPatch) -> CloudServer:
    """Google Cloud Storage, which this process uses as a bearer."""
    monkeypatch.setenv("GOOGLE_BASE_URL", moto.url)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "the-token")

    def read(bucket: str) -> dict[str, bytes]:
        listed = moto.boto.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {each["Key"]: moto.boto.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}

    def open_to_all(bucket: str) -> None:
        moto.boto.put_bucket_acl(Bucket=bucket, ACL="public-read")
        for key in read(bucket):
            moto.boto.put_object_acl(Bucket=bucket, Key=key, ACL="public-read")

    return CloudServer(
        GCS,
        moto.url,
        "Bucket",
        lambda name: moto.boto.create_bucket(Bucket=name),
        lambda bucket, key, body: moto.boto.put_object(Bucket=bucket, Key=key, Body=body),
        lambda bucket, key: moto.boto.delete_object(Bucket=bucket, Key=key),
        read,
        open_to_all,
    )


@pytest.fixture(scope="session")
def azurite_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture
def azure(azurite_url: str, bare_clouds: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    """Azure Blob Storage, whose account this process owns."""
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite_url)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    sdk = importlib.import_module("azure.storage.blob")
    with sdk.BlobServiceClient(azurite_url, credential={"account_name": ACCOUNT, "account_key": KEY}) as service:

        def read(bucket: str) -> dict[str, bytes]:
            container = service.get_container_client(bucket)
            return {name: container.download_blob(name).readall() for name in container.list_blob_names()}

        yield CloudServer(
            AZURE,
            azurite_url,
            "Container",
            service.create_container,
            lambda bucket, key, body: service.get_blob_client(bucket, key).upload_blob(body, overwrite=True),
            lambda bucket, key: service.get_blob_client(bucket, key).delete_blob(),
            read,
            lambda bucket: service.get_container_client(bucket).set_container_access_policy(
                {}, public_access="container"
            ),
        )


@pytest.fixture(params=["gcs", "azure"])
def cloud(request: pytest.FixtureRequest) -> CloudServer:
    """Each cloud in turn."""
    found: CloudServer = request.getfixturevalue(request.param)
    return found


def clear_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process no credentials for any cloud."""
    for name in [each for each in os.environ if each.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
