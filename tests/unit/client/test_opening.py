"""The opening of a client by a program: what its options mean, and that the disk is left alone."""

import base64
import ssl

import httpx
import pytest

from bacalhau import AsyncClient, BadRequest, Client, NotFound
from bacalhau.client.profiles import Credential, Profile, Profiles
from tests.support.sync_verbs import CLIENT, MODULES, write

NAMES = ("HOST", "PORT", "KEY", "TOKEN", "USERNAME", "PASSWORD")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(f"BACALHAU_API_{name}", raising=False)
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def with_profile(home):
    Profiles(home).put("away", Profile(endpoint="http://away:7", timeout="7s", auth=Credential(token="t")))
    (home / "config.yaml").write_text("API: {Host: configured, Port: 9}\n")
    return sorted(path.name for path in home.rglob("*"))


async def test_nothing_is_written_to_the_disk_and_nothing_there_counts(home):
    client = AsyncClient()
    assert (client.endpoint.url, client.endpoint.home) == ("http://127.0.0.1:1234", None)
    assert not home.exists()
    before = with_profile(home)
    Profiles(home).select("away")
    async with AsyncClient() as client:
        assert client.endpoint.url == "http://127.0.0.1:1234"
        assert "Authorization" not in client.endpoint.headers
    assert sorted({*before, "current"}) == sorted(path.name for path in home.rglob("*"))


def test_a_profile_that_is_asked_for_is_read(home):
    with_profile(home)
    found = AsyncClient(profile="away").endpoint
    assert (found.url, found.seconds, found.headers["Authorization"]) == ("http://away:7", 7, "Bearer t")
    assert AsyncClient(profile="away", token="mine", timeout=3).endpoint.headers["Authorization"] == "Bearer mine"
    Profiles(home).select("away")
    (home / "config.yaml").unlink()
    assert AsyncClient(profile="current").endpoint.url == "http://away:7"
    with pytest.raises(NotFound, match='profile "nope" not found'):
        AsyncClient(profile="nope")


def test_the_environment_names_the_server(monkeypatch):
    monkeypatch.setenv("BACALHAU_API_HOST", "::1")
    monkeypatch.setenv("BACALHAU_API_PORT", "8")
    monkeypatch.setenv("BACALHAU_API_KEY", "k")
    found = AsyncClient().endpoint
    assert (found.url, found.headers["Authorization"]) == ("http://[::1]:8", "Bearer k")
    assert AsyncClient("http://x:1", auth=("u", "p")).endpoint.headers["Authorization"] == (
        "Basic " + base64.b64encode(b"u:p").decode()
    )
    monkeypatch.setenv("BACALHAU_API_PORT", "eight")
    with pytest.raises(BadRequest, match="BACALHAU_API_PORT is 'eight'"):
        AsyncClient()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "t", "auth": ("u", "p")}, "both token and auth are given"),
        ({"timeout": 0}, "timeout is 0, but must be more than 0 seconds"),
        ({"url": "http://x:1", "profile": "p"}, "both url http://x:1 and profile p are given"),
        ({"url": "https://x:1", "verify": "nope.pem"}, "cannot use the certificates in nope.pem"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    for kind in (Client, AsyncClient):
        with pytest.raises(BadRequest, match=message):
            kind(**options)


async def test_what_is_asked_carries_headers_and_namespace_over_the_transport_that_is_given():
    asked = []

    def answer(request):
        asked.append((request.url.path, request.url.params.get("namespace"), request.headers.get("x-mine")))
        return httpx.Response(200, json={"Job": {"ID": "j-1"}, "Status": "OK", "Items": []})

    transport, context = httpx.MockTransport(answer), ssl.create_default_context()
    async with AsyncClient(
        "https://x:1", headers={"X-Mine": "1"}, namespace="team", transport=transport, verify=context
    ) as client:
        await client.get_job("a")
        await client.get_job("a", namespace="other")
        await client.list_jobs()
        await client.stop("a")
        await client.alive()
    assert [(place, mine) for _, place, mine in asked] == [
        ("team", "1"),
        ("other", "1"),
        ("team", "1"),
        ("team", "1"),
        (None, "1"),
    ]


async def test_closing_twice_is_fine_and_a_closed_client_says_so():
    client = AsyncClient()
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="the client is closed: open another one"):
        await client.alive()


@pytest.mark.parametrize("module", MODULES)
def test_the_client_without_await_is_made_from_the_other(module):
    assert (CLIENT / f"sync_{module}.py").read_text() == write(module), "run `make sync`"
