"""Credentials that end: a real program, a real container service and a real STS give them, once in their life; what the
renewal does wrong matters only when they have run out.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from botocore.credentials import SSOProvider
from moto.server import ThreadedMotoServer

from bacalhau.lib.aio import together
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3 import client as s3_client
from bacalhau.plugins.s3.ambient import AmbientCache, read_ambient
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client, read_all
from tests.contract.test_s3_faults import error
from tests.support.answering import Server, listening, says
from tests.support.until import until

pytestmark = pytest.mark.usefixtures("no_credentials")
HOUR = 3600

PROGRAM = """#!/bin/sh
echo asked >> {folder}/asked
[ ! -e {folder}/broken ] || {{ echo "the vault is sealed" >&2; exit 1; }}
life=$(cat {folder}/life)
[ -z "$life" ] || ends=', "Expiration": "'$(date -u -d "+$life seconds" +%Y-%m-%dT%H:%M:%SZ)'"'
key='"AccessKeyId": "AKIA'$(wc -l < {folder}/asked)'", "SecretAccessKey": "s", "SessionToken": "t"'
echo "{{\\"Version\\": 1, $key$ends}}"
"""


class Program:
    """A program that gives credentials and counts how often it was asked; the key's last digits are that count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "program"
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(0o700)
        (folder / "config").write_text(f"[profile vault]\ncredential_process = {program}\n")
        self.lives(HOUR)

    def lives(self, seconds: int | str) -> None:
        (self.folder / "life").write_text(str(seconds))

    def asked(self) -> int:
        return len((self.folder / "asked").read_text().splitlines())


async def wait(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, true, "the renewal")


class Clock:
    """The real time, moved ahead by hand."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def program(tmp_path, monkeypatch):
    made = Program(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "vault")
    return made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return AmbientCache(read_ambient, clock)


async def keys(cache: AmbientCache, count: int) -> set[str]:
    """The keys that so many requests at once are signed with."""
    found: set[str] = set()

    async def one() -> None:
        found.add((await cache.current()).credentials.access_key)

    await together(*(one() for _ in range(count)))
    return found


@pytest.mark.parametrize("life", [HOUR, 300])
def test_credentials_are_asked_for_once_in_their_life_and_renewed_ahead(program, cache, clock, life):
    program.lives(life)
    for _ in range(3):  # every command and every test has a loop of its own
        assert asyncio.run(keys(cache, 50)) == {"AKIA1"}
        clock.ahead += life / 4
    assert program.asked() == 1
    clock.ahead = life - 5
    program.lives(life * 3)

    assert asyncio.run(keys(cache, 50)) == {"AKIA1"}  # nobody waits for the next
    until(lambda: asyncio.run(keys(cache, 1)) == {"AKIA2"}, "they are renewed")
    assert program.asked() == 2


async def test_a_renewal_that_fails_matters_when_they_have_run_out(program, cache, clock, caplog):
    await keys(cache, 1)
    (program.folder / "broken").touch()
    clock.ahead = HOUR - 800
    assert await keys(cache, 20) == {"AKIA1"}
    await wait(lambda: "the vault is sealed" in caplog.text)
    assert "those at hand are valid for" in caplog.text
    assert await keys(cache, 20) == {"AKIA1"} and program.asked() == 2  # and no other program a request
    clock.ahead = HOUR - 700
    assert await keys(cache, 20) == {"AKIA1"}
    await wait(lambda: program.asked() == 3)
    await wait(lambda: caplog.text.count("the vault is sealed") == 2)
    clock.ahead = HOUR
    with pytest.raises(StorageFailure, match="the vault is sealed"):
        await cache.current()
    (program.folder / "broken").unlink()
    program.lives(9 * HOUR)
    assert await keys(cache, 20) == {"AKIA5"}


async def test_credentials_without_an_end_hold_until_a_file_changes_or_a_server_refuses_them(program, cache, clock):
    program.lives("")
    assert await keys(cache, 1) == {"AKIA1"}
    clock.ahead = 1000 * HOUR
    assert await keys(cache, 1) == {"AKIA1"}
    with (program.folder / "config").open("a") as file:
        file.write("region = mars\n")
    found = await cache.current()
    assert (found.credentials.access_key, found.region) == ("AKIA2", "mars")


@pytest.mark.parametrize("refusal", [error(400, "ExpiredToken"), error(403, "InvalidToken")])
async def test_what_a_server_says_has_ended_is_asked_for_again(program, cache, clock, monkeypatch, refusal):
    program.lives("")
    monkeypatch.setattr(s3_client, "AMBIENT", cache)
    await cache.current()
    clock.ahead = HOUR
    async with listening(Server()) as server:
        server.answers = [refusal, says(200, "body")]
        client = S3Client()
        answer = await client.call(Request(BucketAddress("b", "", server.url), "PUT", "k", body=b"x"), read_all)
        await client.aclose()
    assert answer.body == b"body" and program.asked() == 2
    assert ["AKIA2" in request.headers["Authorization"] for request in server.requests] == [False, True]


async def test_a_container_service_is_asked_once_in_the_life_of_its_credentials(cache, clock, monkeypatch):
    async def give(request: web.Request) -> web.StreamResponse:
        ends = datetime.now(UTC) + timedelta(seconds=clock.ahead + HOUR)
        key = f"ASIA{len(service.requests)}"
        return web.json_response(
            {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
        )

    async with listening(Server()) as service:
        service.answers = [give]
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "for the container")
        assert await keys(cache, 50) == {"ASIA1"}
        clock.ahead = HOUR - 60
        assert await keys(cache, 50) == {"ASIA1"}
        await wait(lambda: len(service.requests) == 2)
        clock.ahead = HOUR + 60
        assert await keys(cache, 50) == {"ASIA2"}
    assert {request.headers["Authorization"] for request in service.requests} == {"for the container"}
    assert len(service.requests) == 2


@pytest.fixture
def moto():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


async def test_a_role_is_assumed_through_the_profiles_own_endpoint(moto, cache, tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text(
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\nregion = eu-west-1\n"
        f"services = here\n[services here]\nsts =\n  endpoint_url = {moto}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "role")
    found = await cache.current()
    assert found.credentials.access_key.startswith("ASIA") and found.credentials.token
    assert found.region == "eu-west-1" and HOUR - 60 < found.expires - time.time() <= HOUR


async def test_single_sign_on(cache, tmp_path, monkeypatch):
    async def give(request: web.Request) -> web.StreamResponse:
        assert (request.query["role_name"], request.headers["x-amz-sso_bearer_token"]) == ("reader", "signed in")
        role = {"accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t"}
        return web.json_response({"roleCredentials": role | {"expiration": int((time.time() + HOUR) * 1000)}})

    async with listening(Server()) as service:
        service.answers = [give]
        config = tmp_path / "config"
        config.write_text(
            "[profile sso]\nsso_start_url = https://example.org/start\nsso_region = eu-west-1\nsso_account_id = 1\n"
            f"sso_role_name = reader\nservices = here\n[services here]\nsso =\n  endpoint_url = {service.url}\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "sso")
        folder = tmp_path / "signed-in"  # botocore looks for the home folder when it is loaded
        monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(folder))
        with pytest.raises(StorageFailure, match="SSO"):
            await cache.current()
        folder.mkdir()
        ends = datetime.now(UTC) + timedelta(hours=8)
        token = f'{{"accessToken": "signed in", "expiresAt": "{ends:%Y-%m-%dT%H:%M:%SZ}"}}'
        name = hashlib.sha1(b"https://example.org/start").hexdigest()
        (folder / f"{name}.json").write_text(token)
        assert (await cache.current()).credentials.access_key == "ASIASSO"
    assert len(service.requests) == 1
