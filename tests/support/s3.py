"""One SeaweedFS for the whole run, with boto3 as the other program that fills and reads its buckets.

The root conftest makes its fixtures known to all tests; boto3 is imported by those that use one.
"""

import importlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from obstore.store import S3Store

from bacalhau.app.objectstore import object_store

ACCESS_KEY, SECRET_KEY, PUBLIC_BUCKET = "AKIATESTKEY", "secretsecret", "noaa-goes16"
TUTORIAL_PREFIX = "ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-"

_MANY = 200
_numbers = itertools.count(1)


class S3(NamedTuple):
    url: str
    boto: Any

    def new_bucket(self) -> str:
        name = f"bucket-{next(_numbers)}"
        self.boto.create_bucket(Bucket=name)
        return name

    def fill(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Put objects; of many, with a client that takes a sixth of boto3's time."""
        put = self._put_fast(bucket) if len(objects) >= _MANY else self._put(bucket)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: put(*item), objects.items()))

    def _put(self, bucket: str) -> Callable[[str, bytes], object]:
        return lambda key, body: self.boto.put_object(Bucket=bucket, Key=key, Body=body)

    def _put_fast(self, bucket: str) -> Callable[[str, bytes], object]:
        keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "region": "us-east-1"}
        return S3Store(bucket, endpoint=self.url, client_options={"allow_http": True}, **keys).put

    def fill_tutorial(self) -> None:
        """Make the bucket of the tutorial."""
        self.boto.create_bucket(Bucket=PUBLIC_BUCKET)
        for kind, size in (("M3C01", 1000), ("M3C02", 10)):
            names = {i: f"{TUTORIAL_PREFIX}{kind}_G16_s2000001120{i:04d}.nc" for i in range(20)}
            self.fill(PUBLIC_BUCKET, {name: bytes([i]) * size for i, name in names.items()})


def boto_client(url: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Any:
    config = importlib.import_module("botocore.config").Config(
        retries={"max_attempts": 1},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    boto3 = importlib.import_module("boto3")
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=config,
    )


@pytest.fixture(scope="session")
async def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3]:
    """A running server; the bucket of the tutorial is there and public, with 20 + 20 objects."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    async with object_store(
        folder, access_key=ACCESS_KEY, secret_key=SECRET_KEY, public_buckets=(PUBLIC_BUCKET,)
    ) as store:
        boto = boto_client(store.url)
        made = S3(store.url, boto)
        made.fill_tutorial()
        yield made
        boto.close()


@pytest.fixture(scope="session")
def s3(seaweedfs: S3) -> S3:
    """The server of tests that need one. Modules that run on several give the name to each of these in turn; the
    servers themselves have names of their own, so that they go on meanwhile.
    """
    return seaweedfs


@pytest.fixture
def bucket(s3: S3) -> str:
    """An empty bucket of this test's own."""
    return s3.new_bucket()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process acts as the owner of all buckets."""
    clear_aws(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    yield


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clear_aws(monkeypatch)
    yield


def clear_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
