"""The credentials by which a registry is asked."""

import base64
import json
import os
from pathlib import Path

import pytest

from bacalhau.plugins.docker.credentials import Login, find_login
from bacalhau.plugins.docker.reference import read_repository

ANONYMOUS = Login(None, "anonymously")


def packed(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for `config.json`, and one of helper programs on PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / "bin" / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


async def login_for(folder: Path, image: str, config: object, **more: str) -> Login:
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    return await find_login(read_repository(image), {"DOCKER_CONFIG": str(folder)} | more)


@pytest.mark.parametrize(
    ("key", "image", "fits"),
    [
        ("r.io", "r.io/team/tool:1", True),
        ("https://r.io/v1/", "r.io/team/tool:1", True),
        ("http://R.io/v2", "r.io/tool", True),
        ("r.io/team", "r.io/team/tool", True),
        ("r.io/team", "r.io/teams/tool", False),
        ("r.io", "r.io:5000/tool", False),
        ("r.io", "evil.io/r.io/tool", False),
        ("https://index.docker.io/v1/", "alpine", True),
        ("docker.io", "alpine:3", True),
        ("https://index.docker.io/v1/", "ghcr.io/library/alpine", False),
    ],
)
async def test_an_entry_is_for_its_own_registry(folder, key, image, fits):
    found = await login_for(folder, image, {"auths": {key: {"auth": packed("me:se:cret")}}})
    if not fits:
        assert found == ANONYMOUS
        return
    server = "https://index.docker.io/v1/" if "/" not in image else image.partition("/")[0]
    assert found.auth == {"serveraddress": server, "username": "me", "password": "se:cret"}
    assert found.told == f"as user me from {folder}/config.json"


async def test_the_longest_path_wins_and_tokens_are_passed_on(folder):
    auths = {"r.io": {"auth": packed("all:x")}, "r.io/team": {"identitytoken": "token", "auth": packed("<token>:")}}
    found = await login_for(folder, "r.io/team/tool", {"auths": auths})
    assert found.auth == {"serveraddress": "r.io", "identitytoken": "token"}
    assert (await login_for(folder, "r.io/other", {"auths": auths})).auth["username"] == "all"


async def test_helpers_are_asked_by_the_name_of_the_registry(folder):
    helper(folder, "one", f'cat > {folder}/asked; echo \'{{"ServerURL":"x","Username":"bot","Secret":"s1"}}\'')
    helper(folder, "all", 'cat > /dev/null; echo \'{"Username":"<token>","Secret":"s2"}\'')
    config = {"credHelpers": {"r.io": "one"}, "credsStore": "all"}
    found = await login_for(folder, "r.io/tool", config)
    assert found.auth == {"serveraddress": "r.io", "username": "bot", "password": "s1"}
    assert found.told == f"as user bot from docker-credential-one ({folder}/config.json)"
    assert (folder / "asked").read_text() == "r.io"
    found = await login_for(folder, "alpine", config)
    assert found.auth == {"serveraddress": "https://index.docker.io/v1/", "identitytoken": "s2"}
    assert found.told == f"with a token from docker-credential-all ({folder}/config.json)"


async def test_a_helper_that_knows_nothing_leaves_it_to_the_file(folder):
    helper(folder, "none", "echo credentials not found in native keychain; exit 1")
    config = {"credsStore": "none", "auths": {"r.io": {"username": "me", "password": "p"}, "empty.io": {}}}
    assert (await login_for(folder, "r.io/tool", config)).auth["username"] == "me"
    assert await login_for(folder, "empty.io/tool", config) == ANONYMOUS


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"credsStore": "gone"}, "docker-credential-gone, which {f} names, cannot be run: No such file or directory"),
        ({"credsStore": "broken"}, "docker-credential-broken, which {f} names, failed: no keyring"),
        ({"credsStore": "odd"}, "docker-credential-odd, which {f} names, does not answer with Username and Secret"),
        ({"credsStore": "../odd"}, "{f} names a credential helper '../odd', which is no name of a program"),
        ({"auths": {"r.io": {"auth": "hunter2"}}}, "auth of r.io in {f} is not user:password in base64"),
        ('{"auths": "hunter2', "{f} is not JSON"),
        ('{"auths": 3}', "{f} is not a configuration of Docker: Expected `object`, got `int` - at `$.auths`"),
    ],
)
async def test_what_cannot_be_used_is_told_without_the_secret(folder, config, why):
    helper(folder, "broken", "echo no keyring; exit 3")
    helper(folder, "odd", "echo hunter2")
    found = await login_for(folder, "r.io/tool", config)
    assert (found.auth, found.told) == (None, "anonymously, because " + why.format(f=folder / "config.json"))
    assert "hunter2" not in found.told


async def test_variables_come_before_the_file_and_those_of_docker_hub_go_nowhere_else(folder):
    config = {"auths": {"r.io": {"auth": packed("file:x")}, "docker.io": {"auth": packed("file:x")}}}
    hub = {"DOCKER_USERNAME": "me", "DOCKER_PASSWORD": "p"}
    assert (await login_for(folder, "alpine", config, **hub)).told == "as user me from DOCKER_USERNAME"
    assert (await login_for(folder, "r.io/tool", config, **hub)).auth["username"] == "file"
    given = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {"r.io": {"auth": packed("given:x")}}})}
    assert (await login_for(folder, "r.io/tool", config, **given)).told == "as user given from DOCKER_AUTH_CONFIG"
    assert (await login_for(folder, "alpine", config, **given)).auth["username"] == "file"


async def test_the_users_own_folder_is_the_usual_place(folder):
    assert await find_login(read_repository("alpine"), {}) == ANONYMOUS
    (folder / "home/.docker").mkdir(parents=True)
    (folder / "home/.docker/config.json").write_text(json.dumps({"auths": {"docker.io": {"auth": packed("me:x")}}}))
    assert (await find_login(read_repository("alpine"), {})).told == "as user me from ~/.docker/config.json"
