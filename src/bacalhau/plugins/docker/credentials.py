"""The credentials by which the daemon pulls images: those that `docker login` has left for the user of this node.

They are looked up as Docker's command line does: the variable DOCKER_AUTH_CONFIG, then `config.json` in the folder of
DOCKER_CONFIG or in `~/.docker`, where a helper program may keep them (`credHelpers`, `credsStore`, `auths`). For Docker
Hub the variables DOCKER_USERNAME and DOCKER_PASSWORD come first. What is found for a registry goes to that registry
alone, whatever the name of an image looks like. All is read anew for each pull, so a login holds at once.
"""

import asyncio
import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bacalhau.border.names import shorten
from bacalhau.lib.wire import decode
from bacalhau.plugins.docker.reference import HUB, Repository, canonical

HELPER_SECONDS = 30.0
AUTH_VARIABLE = "DOCKER_AUTH_CONFIG"
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # a helper's name for a secret that is an identity token
_MISSING = "credentials not found"
_VERSIONS = ("", "v1", "v2")  # paths of a key that name the registry as a whole
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Login(NamedTuple):
    """Credentials for one registry: `auth` is for the daemon, `told` for people, without the secret."""

    auth: dict[str, str] | None = None
    told: str = "anonymously"


ANONYMOUS = Login()


class Entry(msgspec.Struct):
    """Credentials of one registry in a file; `auth` is `user:password` in base64."""

    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class LoginFile(msgspec.Struct):
    """Docker's `config.json`, as far as it is about credentials."""

    auths: dict[str, Entry] = {}
    credHelpers: dict[str, str] = {}
    credsStore: str = ""


class _Unusable(Exception):
    """Credentials that are there and cannot be used. The text says where and why, and holds no secret."""


async def find_login(repository: Repository, environ: Mapping[str, str] = os.environ) -> Login:
    """Find the credentials for the registry of a repository; none is a Login that is anonymous and says why."""
    name, password = environ.get("DOCKER_USERNAME"), environ.get("DOCKER_PASSWORD")
    if name and password and repository.registry == HUB:
        return Login(_auth(repository, username=name, password=password), f"as user {name} from DOCKER_USERNAME")
    try:
        for place, text in _texts(environ):
            login = await _find_in(_read(text, place), repository, place)
            if login.auth:
                return login
    except _Unusable as e:
        return Login(told=f"anonymously, because {e}")
    return ANONYMOUS


def _texts(environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield each place that can hold credentials, with its content."""
    if text := environ.get(AUTH_VARIABLE):
        yield AUTH_VARIABLE, text.encode()
    folder = environ.get("DOCKER_CONFIG")
    path = Path(folder or os.path.expanduser("~/.docker")) / "config.json"
    place = str(path) if folder else "~/.docker/config.json"
    try:
        yield place, path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as e:
        raise _Unusable(f"{place} cannot be read: {e.strerror}") from e


def _read(text: bytes, place: str) -> LoginFile:
    try:
        return decode(text, LoginFile)
    except msgspec.ValidationError as e:
        raise _Unusable(f"{place} is not a configuration of Docker: {e}") from e
    except msgspec.DecodeError as e:
        raise _Unusable(f"{place} is not JSON") from e  # the error may quote a secret


async def _find_in(file: LoginFile, repository: Repository, place: str) -> Login:
    """Ask the helper that the file names for the registry; what it does not know may stand in the file itself."""
    helper = file.credHelpers.get(_best_key(file.credHelpers, repository), "") or file.credsStore
    if helper and (login := await _ask_helper(helper, repository, place)):
        return login
    entry = file.auths.get(_best_key(file.auths, repository), Entry())
    name, password = _name_and_password(entry, repository, place)
    if token := entry.identitytoken:
        return Login(_auth(repository, identitytoken=token), _told(name, place))
    if entry.registrytoken:
        return Login(_auth(repository, registrytoken=entry.registrytoken), _told(name, place))
    if name and password:
        return Login(_auth(repository, username=name, password=password), _told(name, place))
    return ANONYMOUS


def _best_key(keys: Mapping[str, Any], repository: Repository) -> str:
    """Find the key of a registry: as a host or a URL, or with the longest path that leads to the repository."""
    fitting = [(len(path), key) for key in keys if (path := _path_of(key, repository)) is not None]
    return max(fitting, default=(0, ""))[1]


def _path_of(key: str, repository: Repository) -> str | None:
    """Return the path of a key that holds for a repository, "" for its whole registry; None when it does not hold."""
    host, _, path = re.sub(r"^https?://", "", key).partition("/")
    path = path.strip("/")
    if canonical(host.lower()) != repository.registry.lower():
        return None
    if path in _VERSIONS:
        return ""
    return path if f"{repository.path}/".startswith(f"{path}/") else None


def _name_and_password(entry: Entry, repository: Repository, place: str) -> tuple[str, str]:
    if not entry.auth:
        return entry.username, entry.password
    try:
        name, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise _Unusable(f"auth of {repository.registry} in {place} is not user:password in base64")
    return name, password.strip("\x00")


async def _ask_helper(helper: str, repository: Repository, place: str) -> Login | None:
    """Run a helper program as Docker does. None when it knows nothing of the registry."""
    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise _Unusable(f"{place} names a credential helper {shorten(helper)!r}, which is no name of a program")
    code, said = await _run(program, _server(repository), place)
    text = said.decode(errors="replace")
    if code:
        if _MISSING in text:
            return None
        raise _Unusable(f"{program}, which {place} names, failed: {shorten(text.strip()) or f'exit code {code}'}")
    try:
        found = decode(said, dict[str, str])
        name, secret = found["Username"], found["Secret"]
    except (msgspec.DecodeError, KeyError):
        raise _Unusable(f"{program}, which {place} names, does not answer with Username and Secret") from None
    if not secret:
        return None
    told = _told("" if name == _TOKEN_USER else name, f"{program} ({place})")
    if name == _TOKEN_USER:
        return Login(_auth(repository, identitytoken=secret), told)
    return Login(_auth(repository, username=name, password=secret), told)


async def _run(program: str, asked: str, place: str) -> tuple[int, bytes]:
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        child = await asyncio.create_subprocess_exec(program, "get", stdin=pipe, stdout=pipe, stderr=nowhere)
    except OSError as e:
        raise _Unusable(f"{program}, which {place} names, cannot be run: {e.strerror}") from e
    try:
        async with asyncio.timeout(HELPER_SECONDS):
            said, _ = await child.communicate(asked.encode())
    except TimeoutError as e:
        raise _Unusable(f"{program}, which {place} names, did not answer within {HELPER_SECONDS:g} s") from e
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    return child.returncode or 0, said


def _server(repository: Repository) -> str:
    return _HUB_KEY if repository.registry == HUB else repository.registry


def _auth(repository: Repository, **secrets: str) -> dict[str, str]:
    return {"serveraddress": _server(repository), **secrets}


def _told(name: str, place: str) -> str:
    return f"as user {name} from {place}" if name else f"with a token from {place}"
