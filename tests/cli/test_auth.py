"""Credentials, single sign-on and TLS, against servers on loopback that ask for them."""

import asyncio
import base64
import json
import ssl
import subprocess

import bcrypt
import pytest
from aiohttp import web

from bacalhau import AsyncClient
from bacalhau.api.access.signature import client_id_of, is_signed, read_public_key
from bacalhau.cli.frame.program import run
from bacalhau.client import sso
from bacalhau.client.endpoint import resolve_endpoint
from bacalhau.client.overrides import Overrides
from bacalhau.lib.errors import Unavailable
from tests.support.scripted_api import answer, scripted_api

INFO = """
Target environment: {url}

Environment Variables:
API Key: Not Set
Username: Not Set
Password: Not Set

Node SSO Authentication:
{sso}

Note: Environment variables take precedence over other authentication mechanisms including SSO.
To use SSO login, please unset Auth related environment variables first.

"""
CLAIMS = base64.urlsafe_b64encode(b'{"sub":"me"}').decode().rstrip("=")
TOKEN = f"{CLAIMS}.{CLAIMS}.sig"


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path, monkeypatch):
    for name in ("API_KEY", "API_TOKEN", "API_USERNAME", "API_PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"BACALHAU_{name}", raising=False)
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))


@pytest.fixture
def cli(capsys):
    async def call(*args):
        code = await asyncio.to_thread(run, list(args))
        return code, *capsys.readouterr()

    return call


class Provider:
    """The API and its identity provider in one: signing in is done when the token has been asked for often enough."""

    def __init__(self, *answers):
        self.url, self.answers, self.forms = "", list(answers), []

    async def handle(self, request):
        if request.path == "/api/v1/agent/authconfig":
            return answer({"Version": "1.0.0", "Config": self.config()})
        if request.path == "/device":
            self.forms.append(dict(await request.post()))
            return answer(
                {
                    "device_code": "dev",
                    "user_code": "AB-CD",
                    "verification_uri": "http://page",
                    "expires_in": 60,
                    "interval": 1,
                }
            )
        if request.path == "/token":
            self.forms.append(dict(await request.post()))
            return answer(self.answers.pop(0))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(
                {"Status": 401, "Message": "Request Unauthorized", "Code": "Unauthorized", "Component": "Authorizer"},
                401,
            )
        return answer({"NextToken": "", "Items": []})

    def config(self):
        return {
            "ProviderID": "idp",
            "ProviderName": "The Provider",
            "TokenEndpoint": f"{self.url}/token",
            "DeviceAuthorizationEndpoint": f"{self.url}/device",
            "DeviceClientID": "cli",
            "Scopes": ["openid", "profile"],
        }


async def test_signing_in_in_a_browser(cli, monkeypatch):
    monkeypatch.setattr(sso, "_PAUSE", 0)
    provider = Provider({"error": "authorization_pending"}, {"access_token": TOKEN})
    async with scripted_api(provider.handle) as url:
        provider.url = url
        monkeypatch.setenv("BACALHAU_API_HOST", url)
        code, _, err = await cli("job", "list")
        assert (
            code == 1 and err.splitlines()[0] == "Error: Request Unauthorized" and "Hint:  set BACALHAU_API_KEY" in err
        )
        assert (await cli("auth", "sso", "token"))[0] == 1
        code, out, err = await cli("auth", "sso", "login")
        assert (code, out) == (
            0,
            f"Successfully authenticated with {url}\n",
        ) and "http://page\nand enter the code: AB-CD" in err
        assert provider.forms[0] == {"client_id": "cli", "scope": "openid profile"}
        assert provider.forms[1] == {
            "client_id": "cli",
            "device_code": "dev",
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        }
        assert (await cli("job", "list"))[0] == 0
        assert await cli("auth", "sso", "token") == (0, f"{TOKEN}\n", "")
        assert json.loads((await cli("auth", "sso", "token", "-d"))[1]) == {
            "header": {"sub": "me"},
            "claims": {"sub": "me"},
        }
        assert "Provider Name: The Provider\nProvider ID: idp\nVersion: 1.0.0\n" in (await cli("auth", "info"))[1]
        assert (await cli("auth", "sso", "logout", "-f"))[0] == 0
        assert (await cli("job", "list"))[0] == 1


class Guarded:
    """An API of the original whose access policy lets in who introduced itself."""

    def __init__(self, methods, phrase=b"node-1", reason=""):
        self.methods, self.phrase, self.reason, self.keys = methods, phrase, reason, []

    async def handle(self, request):
        if request.path == "/api/v1/auth":
            return answer({"NextToken": "", "Methods": self.methods})
        if request.path == "/api/v1/auth/clientkey":
            body = await request.json()
            signed = json.loads(base64.b64decode(body["MethodData"]))
            self.keys.append(read_public_key(signed["PublicKey"]))
            if self.reason or not is_signed(self.keys[-1], signed["PhraseSignature"], self.phrase):
                return answer({"Authentication": {"success": False, "reason": self.reason or "bad signature"}}, 401)
            return answer({"Authentication": {"success": True, "token": TOKEN}})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(
                {"Status": 401, "Message": "Request Unauthorized", "Code": "Unauthorized", "Component": "Authorizer"},
                401,
            )
        if request.path.endswith("/logs"):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_json({"value": {"Type": 1, "Line": "hello"}, "error": ""})
            await socket.close()
            return socket
        return answer(
            {
                "NextToken": "",
                "Items": [],
                "Job": {"ID": "j-1", "Type": "batch", "Count": 1, "Tasks": [], "State": {"StateType": "Running"}},
            }
        )


CHALLENGE = {"clientkey": {"type": "challenge", "params": {"InputPhrase": base64.b64encode(b"node-1").decode()}}}


async def test_a_client_introduces_itself_where_strangers_are_refused(cli, monkeypatch, tmp_path):
    server = Guarded(CHALLENGE)
    async with scripted_api(server.handle) as url:
        monkeypatch.setenv("BACALHAU_API_HOST", url)
        assert await cli("job", "logs", "j-1") == (0, "hello", "")
        assert (await cli("job", "list"))[0] == 0
        assert len(server.keys) == 1  # the token is kept
        assert (await cli("auth", "sso", "token"))[1] == f"{TOKEN}\n"
        (tmp_path / "data" / "sso_tokens.json").unlink()
        assert (await cli("job", "list"))[0] == 0
    assert len({client_id_of(key) for key in server.keys}) == 1  # and the key too
    assert (tmp_path / "data" / "user_id.pem").stat().st_mode & 0o777 == 0o600
    with (tmp_path / "data" / "user_id.pem").open() as pem:
        assert pem.readline() == "-----BEGIN RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("methods", "reason", "message"),
    [
        ({}, "", "Request Unauthorized"),
        (None, "", "Request Unauthorized"),
        (
            {"shared": {"type": "ask", "params": {"type": "object"}}},
            "",
            "the server lets people in by shared (ask), which this client cannot do",
        ),
        (CHALLENGE, "not this one", "the server does not accept this client: not this one"),
        (
            {"clientkey": {"type": "challenge", "params": {"InputPhrase": "%"}}},
            "",
            'the server wants "%" signed, which is no base64',
        ),
    ],
)
async def test_a_client_that_is_refused_all_the_same(cli, methods, reason, message):
    async with scripted_api(Guarded(methods, reason=reason).handle) as url:
        code, out, err = await cli("--api-host", url, "job", "list")
    assert (code, out) == (1, "") and err.startswith(f"Error: {message}")


async def test_a_credential_that_was_given_is_the_only_one(cli, monkeypatch):
    monkeypatch.setenv("BACALHAU_API_KEY", "mine")
    server = Guarded(CHALLENGE)
    async with scripted_api(server.handle) as url:
        assert (await cli("--api-host", url, "job", "list"))[2].startswith("Error: Request Unauthorized")
    assert server.keys == []


async def test_a_key_that_is_none(cli, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "user_id.pem").write_text("nonsense")
    async with scripted_api(Guarded(CHALLENGE).handle) as url:
        code, _, err = await cli("--api-host", url, "job", "list")
    assert code == 1 and err.startswith(f"Error: cannot use this client's key {tmp_path}/data/user_id.pem: ")


async def test_a_refused_sign_in(cli, monkeypatch):
    provider = Provider({"error": "access_denied", "error_description": "not you"})
    async with scripted_api(provider.handle) as url:
        provider.url = url
        code, out, err = await cli("--api-host", url, "auth", "sso", "login")
        assert (code, out) == (1, "") and "signing in failed: not you" in err


async def test_a_server_without_single_sign_on(cli):
    async def handle(request):
        return answer({"Version": "1.0.0", "Config": {}})

    async with scripted_api(handle) as url:
        assert (await cli("--api-host", url, "auth", "info"))[1] == INFO.format(
            url=url, sso="Server does not support SSO login"
        )
        code, _, err = await cli("--api-host", url, "auth", "sso", "login")
        assert code == 1 and err.startswith("Error: the server does not support SSO login\nHint:  use BACALHAU_API_KEY")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [("secret", 0, ""), ("", 1, "password cannot be empty"), ("x" * 73, 1, "exceeds maximum length")],
)
async def test_hashing_a_password(given, code, message, cli, monkeypatch, tmp_path):
    (tmp_path / "stdin").write_text(f"{given}\n")
    with (tmp_path / "stdin").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        found, out, err = await cli("auth", "hash-password")
    assert found == code and message in err
    assert code or (out.startswith("$2a$10$") and bcrypt.checkpw(given.encode(), out.strip().encode()))


@pytest.fixture
def certificate(tmp_path):
    paths = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


async def test_tls(certificate, tmp_path):
    """Nobody is believed without a reason: the authority's file, or the word that anybody may answer."""

    async def handle(request):
        return web.json_response({"Status": "OK"})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]

    async def ask(**flags):
        async with AsyncClient.at(resolve_endpoint(overrides=Overrides(api_port=port, tls=True, **flags))) as client:
            return (await client.alive()).status

    try:
        assert await ask(cacert=certificate[0]) == "OK"
        assert await ask(insecure=True) == "OK"
        assert await ask(config=(f"API.TLS.CAFile={certificate[0]}",)) == "OK"
        with pytest.raises(Unavailable, match="certificate"):
            await ask()
    finally:
        await runner.cleanup()
