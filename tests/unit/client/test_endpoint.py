"""Which server, and as whom."""

from contextlib import aclosing

import pytest

from bacalhau.client.endpoint import CLIENT_HEADER, credentials, resolve_endpoint
from bacalhau.client.identity import client_id
from bacalhau.client.overrides import Overrides
from bacalhau.client.transport import Transport
from bacalhau.lib.errors import BadRequest, Unauthorized


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    for name in ("API_HOST", "API_PORT", "API_KEY", "API_USERNAME", "API_PASSWORD"):
        monkeypatch.delenv(f"BACALHAU_{name}", raising=False)
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))


def test_the_default_is_this_machine():
    assert resolve_endpoint().url == "http://127.0.0.1:1234"


def test_environment_flag_and_url_in_order(monkeypatch):
    monkeypatch.setenv("BACALHAU_API_HOST", "somewhere")
    monkeypatch.setenv("BACALHAU_API_PORT", "99")
    assert resolve_endpoint().url == "http://somewhere:99"
    assert resolve_endpoint(overrides=Overrides(api_port=7)).url == "http://somewhere:7"
    assert resolve_endpoint(overrides=Overrides(config=("API.Port=8",), tls=True)).url == "https://somewhere:8"
    assert resolve_endpoint("http://other:1").url == "http://other:1"


def test_the_same_identity_every_time(tmp_path):
    first, second = resolve_endpoint(), resolve_endpoint()
    own = first.headers[CLIENT_HEADER]
    assert len(own) == 64 and int(own, 16) >= 0
    assert second.headers[CLIENT_HEADER] == own == client_id(tmp_path / "data")
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["client_id"]


def test_no_identity_where_none_can_be_kept(tmp_path):
    (tmp_path / "file").write_text("")
    assert client_id(tmp_path / "file") == ""


def test_credentials():
    assert credentials({}) == {}
    assert credentials({"BACALHAU_API_KEY": "k"}) == {"Authorization": "Bearer k"}
    assert credentials({"BACALHAU_API_USERNAME": "u", "BACALHAU_API_PASSWORD": "p"}) == {"Authorization": "Basic dTpw"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"KEY": "k", "USERNAME": "u", "PASSWORD": "p"}, "can't use both"),
        ({"USERNAME": "u"}, "BACALHAU_API_USERNAME provided but not BACALHAU_API_PASSWORD"),
        ({"PASSWORD": "p"}, "BACALHAU_API_PASSWORD provided but not BACALHAU_API_USERNAME"),
    ],
)
def test_half_a_credential_is_refused(given, message):
    with pytest.raises(Unauthorized, match=message):
        credentials({f"BACALHAU_API_{name}": value for name, value in given.items()})


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
@pytest.mark.parametrize("insecure", [True, False])
@pytest.mark.parametrize(
    ("name", "reason"), [("nope.pem", "no such file or directory"), ("text.pem", "it holds no certificates")]
)
async def test_a_certificate_file_that_cannot_be_used_is_an_error_whatever_the_server(
    tmp_path, url, insecure, name, reason
):
    (tmp_path / "text.pem").write_text("text")
    path = str(tmp_path / name)
    endpoint = resolve_endpoint(url, Overrides(cacert=path, insecure=insecure))
    with pytest.raises(BadRequest) as caught:
        async with aclosing(Transport(endpoint)):
            pass
    assert caught.value.message == f"cannot use the certificates in {path}: {reason}"
    assert "--cacert" in caught.value.hint
