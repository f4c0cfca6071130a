"""The clouds of the tests, each a server that speaks the cloud's protocol, filled by another program than ours.

Google's XML API is the part of S3 that moto speaks, with a bearer's token in place of a signature. The root conftest
makes these fixtures known to all tests.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.gcs.cloud import GCS
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
def gcs(moto: S3, monkeypatch: pytest.MonkeyPatch) -> CloudServer:
    """Google Cloud Storage, which this process uses as a bearer."""
    clear_clouds(monkeypatch)
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


@pytest.fixture(params=["gcs"])
def cloud(request: pytest.FixtureRequest) -> CloudServer:
    """Each cloud in turn."""
    found: CloudServer = request.getfixturevalue(request.param)
    return found


def clear_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process no credentials for any cloud."""
    for name in [each for each in os.environ if each.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
