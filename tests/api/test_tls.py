"""The API over TLS: with the administrator's certificate, or one that the server makes and keeps."""

import json
import shutil
import ssl

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bacalhau.api.app import make_app, serve_http
from bacalhau.app.tls import server_tls
from bacalhau.config.access import ApiTLS
from bacalhau.lib.errors import BadRequest
from tests.api.room import JOBS, open_room

ALIVE = "/api/v1/agent/alive"


async def test_a_certificate_made_at_start_is_trusted_by_those_who_are_given_it(tmp_path):
    async with (
        open_room(tmp_path) as room,
        serve_http(make_app(room.orch), "127.0.0.1", 0, server_tls(ApiTLS(self_signed=True), tmp_path)) as url,
    ):
        assert url.startswith("https://")
        async with httpx.AsyncClient() as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(url + ALIVE)
            with pytest.raises(httpx.RemoteProtocolError):
                await stranger.get(url.replace("https", "http") + ALIVE)
        trusting = ssl.create_default_context(cafile=str(tmp_path / "api.crt"))
        async with httpx.AsyncClient(verify=trusting) as http:
            assert (await http.get(url + ALIVE)).json() == {"Status": "OK"}
        async with connect(f"{url.replace('https', 'wss')}{JOBS}/nope/logs", ssl=trusting) as socket:
            assert json.loads(await socket.recv())["error"] == "job not found: nope"
            with pytest.raises(ConnectionClosed):
                await socket.recv()


def test_the_certificate_is_kept_and_made_anew_when_it_is_spoilt(tmp_path):
    server_tls(ApiTLS(self_signed=True), tmp_path)
    first = (tmp_path / "api.crt").read_bytes()
    assert (tmp_path / "api.key").stat().st_mode & 0o077 == 0
    server_tls(ApiTLS(self_signed=True), tmp_path)
    assert (tmp_path / "api.crt").read_bytes() == first
    (tmp_path / "api.crt").write_text("spoilt")
    server_tls(ApiTLS(self_signed=True), tmp_path)
    assert (tmp_path / "api.crt").read_bytes().startswith(b"-----BEGIN CERTIFICATE")


def test_the_administrators_own_files(tmp_path):
    server_tls(ApiTLS(self_signed=True), tmp_path / "one")
    server_tls(ApiTLS(self_signed=True), tmp_path / "two")
    own = shutil.copytree(tmp_path / "one", tmp_path / "own")
    assert server_tls(ApiTLS(cert_file=str(own / "api.crt"), key_file=str(own / "api.key")), tmp_path) is not None
    assert server_tls(ApiTLS(), tmp_path) is None
    for cert, key in (("one/api.crt", "two/api.key"), ("one/nope.crt", "one/api.key"), ("one/api.key", "one/api.key")):
        with pytest.raises(BadRequest, match=f"API.TLS: cannot use certificate .*{cert}"):
            server_tls(ApiTLS(cert_file=str(tmp_path / cert), key_file=str(tmp_path / key)), tmp_path)
