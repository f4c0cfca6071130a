"""The work of the commands of `profile`: files in the data directory; no server is asked."""

import os
import sys
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.flags import Table
from bacalhau.cli.output.render import show_items
from bacalhau.cli.output.table import Column
from bacalhau.cli.profile.commands import Delete, Save, Show
from bacalhau.client.endpoint import client_config
from bacalhau.client.overrides import Overrides
from bacalhau.client.profiles import Credential, Profile, Profiles, Trust
from bacalhau.client.transport import Endpoint
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BadRequest, NotFound


class Row(NamedTuple):
    current: str
    name: str
    endpoint: str
    auth: str


_COLUMNS = tuple(Column(name, attrgetter(name)) for name in Row._fields)


def _profiles(call: Call[Flags]) -> Profiles:
    return Profiles(Path(client_config(call.settings).data_dir))


def save(call: Call[Save]) -> int:
    (name,) = call.args
    _refuse_other_servers(call.settings)
    profiles, flags = _profiles(call), call.flags
    if name in profiles.names():
        profile = profiles.get(name)
    elif flags.endpoint:
        profile = Profile(endpoint="")
    else:
        raise BadRequest(
            "endpoint is required when creating a new profile",
            hint=f"bacalhau profile save {name} --endpoint http://HOST:PORT",
        )
    profiles.put(name, _changed(profile, call))
    say(f'Profile "{name}" saved')
    if flags.select:
        profiles.select(name)
        say(f'Switched to profile "{name}"')
    return 0


def _changed(profile: Profile, call: Call[Save]) -> Profile:
    """Return the parts of a profile that the command line gives."""
    flags = call.flags
    if flags.endpoint:
        profile = replace(profile, endpoint=_endpoint(flags.endpoint))
    if flags.description is not None:
        profile = replace(profile, description=flags.description)
    if flags.timeout is not None:
        profile = replace(profile, timeout=flags.timeout)
    if flags.token is not None:
        token = sys.stdin.readline().strip() if flags.token == "-" else flags.token
        profile = replace(profile, auth=Credential(token=token))
    return replace(profile, tls=_trust(profile, call.settings))


def _trust(profile: Profile, given: Overrides) -> Trust:
    """Return the trust of a profile with what the command line says. A file is kept by its whole path, because commands
    run in any folder. Raises BadRequest for one without certificates.
    """
    trust = profile.tls
    if given.insecure is not None:
        trust = replace(trust, insecure=given.insecure)
    if given.cacert is not None:
        Endpoint(profile.endpoint, ca_file=given.cacert).trust()
        trust = replace(trust, cacert=str(Path(given.cacert).absolute()) if given.cacert else "")
    return trust


def _refuse_other_servers(given: Overrides) -> None:
    """Raise BadRequest for a flag that names a server otherwise than a profile does: it would not be kept."""
    if given.names_server or given.tls or given.profile:
        raise BadRequest(
            "a profile keeps its server as --endpoint; --api-host, --api-port, --tls and --profile are not kept",
            hint="write --endpoint https://HOST:PORT, or http://HOST:PORT",
        )


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f'"{url}" is no endpoint', hint="write http://HOST:PORT or https://HOST:PORT")
    return url.rstrip("/")


def list_profiles(call: Call[Table]) -> int:
    profiles = _profiles(call)
    current = profiles.current()
    found = [(name, profiles.get(name)) for name in profiles.names()]
    rows = [
        Row(
            "*" if name == current else "",
            name,
            without_credentials(profile.endpoint),
            "token" if profile.auth.token else "",
        )
        for name, profile in found
    ]
    if not rows and call.flags.output in (None, "table"):
        say("No profiles found")
    else:
        show_items(call.flags, _COLUMNS, rows, raw=[row._asdict() for row in rows])
    return 0


def show(call: Call[Show]) -> int:
    profiles = _profiles(call)
    name = (
        call.args[0]
        if call.args
        else call.settings.profile or os.environ.get("BACALHAU_PROFILE", "") or profiles.current()
    )
    if not name:
        raise NotFound("no current profile", hint="`bacalhau profile select NAME` chooses one")
    profile = profiles.get(name)
    token = profile.auth.token
    pairs = [
        ("Name", f"{name} (current)" if name == profiles.current() else name),
        ("Endpoint", without_credentials(profile.endpoint)),
        ("Auth", f"token ({token if call.flags.show_token else masked(token)})" if token else "none"),
        ("TLS", "insecure" if profile.tls.insecure else "secure"),
        *([("CA file", profile.tls.cacert)] if profile.tls.cacert else []),
        ("Timeout", profile.timeout),
        *([("Description", profile.description)] if profile.description else []),
    ]
    for key, value in pairs:
        say(f"{key + ':':13}{value}")
    return 0


def masked(token: str) -> str:
    """The beginning and the end, of a token long enough to keep the rest a secret."""
    return f"{token[:4]}****{token[-4:]}" if len(token) > 8 else "****"


def select(call: Call[Flags]) -> int:
    (name,) = call.args
    _profiles(call).select(name)
    say(f'Switched to profile "{name}"')
    return 0


def delete(call: Call[Delete]) -> int:
    (name,) = call.args
    profiles = _profiles(call)
    profiles.get(name)
    question = f'Profile "{name}" is the current profile. Delete anyway? [y/N]: '
    if name == profiles.current() and not call.flags.force and not _agreed(question):
        say("Deletion cancelled")
        return 0
    profiles.delete(name)
    say(f'Profile "{name}" deleted')
    return 0


def _agreed(question: str) -> bool:
    say(question, nl=False)
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
