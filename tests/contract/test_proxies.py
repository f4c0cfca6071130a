"""Proxies of the environment: a real one sees what goes through it, for clients and for S3; this machine is never asked
through one.
"""

import os
from contextlib import aclosing

import pytest

from bacalhau.border.addresses import Reach
from bacalhau.border.proxies import find_proxy
from bacalhau.client.transport import Endpoint, Transport
from bacalhau.lib.errors import BacalhauError, BadRequest, StorageFailure
from bacalhau.models.wire.api import AliveResponse
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client, read_all
from tests.support.answering import Server, listening, says

pytestmark = pytest.mark.usefixtures("no_credentials")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def proxy():
    async with listening(Server()) as made:
        made.answers = [says(418, "from the proxy")]
        yield made


@pytest.mark.parametrize(
    ("variables", "url", "found"),
    [
        ({}, "http://api.example", None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://api.example", "http://p:3128"),
        ({"http_proxy": "p:3128"}, "http://api.example:1234/x", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, "https://api.example", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://api.example", "http://p:3128"),
        ({"ALL_PROXY": "http://p:3128"}, "https://api.example", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "other,.example"}, "http://api.example", None),
        ({"ALL_PROXY": "http://p:3128"}, "http://localhost:1234", None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://127.0.0.2:1234", None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://[::1]:1234", None),
    ],
)
def test_the_proxy_for_a_url(monkeypatch, variables, url, found):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(url) == found


async def test_a_proxy_of_another_language_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@p:1080")
    with pytest.raises(BadRequest, match=r"the proxy of the environment for http://api\.example begins with socks5://"):
        async with aclosing(Transport(Endpoint("http://api.example"))):
            pass


async def test_a_client_asks_through_the_proxy_but_not_this_machine(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    async with aclosing(Transport(Endpoint("http://api.example:1234"))) as transport:
        with pytest.raises(BacalhauError):
            await transport.ask(AliveResponse, "/agent/alive")
    assert [each.headers["Host"] for each in proxy.requests] == ["api.example:1234"]
    async with listening(Server()) as api:
        api.answers = [says(200, '{"Status": "OK"}')]
        async with aclosing(Transport(Endpoint(api.url))) as transport:
            assert (await transport.ask(AliveResponse, "/agent/alive")).status == "OK"
    assert len(proxy.requests) == 1


async def test_s3_is_asked_through_the_proxy_but_not_this_machine(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client = S3Client(Reach())
    with pytest.raises(StorageFailure, match="status 418"):
        await client.call(Request(BucketAddress("b", "", "http://192.0.2.1:9000"), "GET", "k"), read_all)
    assert [each.headers["Host"] for each in proxy.requests] == ["192.0.2.1:9000"]
    async with listening(Server()) as store:
        store.answers = [says(200, "body")]
        ours = BucketAddress("b", "", store.url, is_ours=True)
        assert (await client.call(Request(ours, "GET", "k"), read_all)).body == b"body"
        with pytest.raises(StorageFailure, match="may not be used here"):  # the rule of addresses holds as before
            await client.call(Request(ours._replace(is_ours=False), "GET", "k"), read_all)
    await client.aclose()
    assert len(proxy.requests) == 1
