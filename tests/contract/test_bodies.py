"""Servers that send without end, to everything here that reads a body whole or believes a length."""

import tracemalloc
from contextlib import aclosing

import pytest

from bacalhau.api.access.token import TokenReader
from bacalhau.border.addresses import Reach
from bacalhau.border.bodies import ANSWER, PAGE, SMALL, BodyTooLong
from bacalhau.client import transport
from bacalhau.client.sso import sign_in
from bacalhau.client.transport import Endpoint, Transport
from bacalhau.config.access import Oauth2
from bacalhau.lib.errors import BacalhauError, StorageFailure, Unavailable
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import SignIn
from bacalhau.plugins.ipfs.kubo import Kubo
from bacalhau.plugins.s3.source import S3Source
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Entry, Manifest
from tests.support.endless import MB, Endless

pytestmark = pytest.mark.usefixtures("credentials")


def s3_spec(server, key):
    return SpecConfig(type="s3", params={"Bucket": "bucket", "Key": key, "Endpoint": server.url, "Region": "us-east-1"})


async def list_s3(server):
    source = S3Source(Reach(own=True))
    try:
        await source.resolve(s3_spec(server, "all/*"))
    finally:
        await source.close()


async def identify_kubo(server):
    async with Kubo.open(server.url) as kubo:
        await kubo.identify()


async def ask_api(server):
    async with aclosing(Transport(Endpoint(server.url))) as way:
        await way.ask(Model, "/agent/version")


async def fetch_keys(server):
    await TokenReader(Oauth2(provider_id="idp", jwks_uri=server.url))._fetch()


async def sign_in_there(server):
    await sign_in(
        SignIn(device_authorization_endpoint=server.url, token_endpoint=server.url, device_client_id="me"), print
    )


@pytest.mark.parametrize(
    ("read", "limit"),
    [(list_s3, PAGE), (identify_kubo, SMALL), (ask_api, 20 * MB), (fetch_keys, SMALL), (sign_in_there, SMALL)],
)
async def test_a_body_without_end_is_read_up_to_its_bound(read, limit, monkeypatch):
    monkeypatch.setattr(transport, "ANSWER", min(ANSWER, 20 * MB))
    async with Endless(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") as server:
        tracemalloc.start()
        try:
            with pytest.raises((BodyTooLong, Unavailable)) as caught:
                await read(server)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert "which no such answer has" in caught.value.message and server.url in caught.value.message
    assert peak < 3 * limit + 10 * MB and server.sent < limit + 20 * MB


async def test_an_error_without_end(tmp_path):
    async with Endless(
        b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n"
    ) as server:
        for read in (list_s3, identify_kubo):
            with pytest.raises(BacalhauError):
                await read(server)
            assert server.sent < 10 * MB
            server.sent = 0


@pytest.mark.parametrize("size", [1000, 3 * MB, 100 * MB])
async def test_an_s3_object_longer_than_it_was_listed(tmp_path, size):
    """Small ones are read whole, larger ones streamed, the largest fetched in ranges."""
    async with Endless(b"") as server:
        source = S3Source(Reach(own=True))
        manifest = Manifest(s3_spec(server, "key"), (Entry("key", "key", size),))
        with pytest.raises(StorageFailure, match=f"is longer than the {size} bytes that were announced"):
            await source.fetch(manifest, tmp_path, ignore)
        await source.close()
    assert list(tmp_path.iterdir()) == [] and server.sent < 7 * size + 60 * MB


async def test_a_file_longer_than_it_said(tmp_path):
    async with (
        Endless(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n") as server,
        UrlSource(reach=Reach(own=True)) as source,
    ):
        manifest = await source.resolve(SpecConfig(type="urlDownload", params={"URL": f"{server.url}/file"}))
        with pytest.raises(StorageFailure, match="is longer than the 3000000 bytes that were announced"):
            await source.fetch(manifest, tmp_path, ignore)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * MB and server.sent < 20 * MB
