"""The choice of server and credentials: flags, environment, profiles and configuration become one endpoint, for the
command line; the library's own options become one in `make_endpoint`, which reads no file unless a profile is named.

The server is the first of: a URL; --api-host, --api-port or -c API.Host; --profile; a host or port of
the environment or a file that is not the default; BACALHAU_PROFILE; the profile that was selected; the default.
"""

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from bacalhau.client.identity import client_id
from bacalhau.client.overrides import NO_OVERRIDES, Overrides
from bacalhau.client.profiles import CURRENT, Profile, Profiles, Trust
from bacalhau.client.tokens import bearer, get_token
from bacalhau.client.transport import Endpoint
from bacalhau.config.load import client_endpoint, load_config
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BadRequest, Unauthorized, with_hint
from bacalhau.models.node.version import this_version

CLIENT_HEADER = "X-Bacalhau-InstallationID"
_UNTOLD_HOSTS = (Config().api.host, "0.0.0.0")


def resolve_endpoint(url: str | None = None, overrides: Overrides = NO_OVERRIDES) -> Endpoint:
    """Find the server and the credentials to use.

    Raises BadRequest for a configuration or profile that cannot be read, NotFound for an unknown profile, Unauthorized
    for half a credential.
    """
    config = client_config(overrides)
    name = "" if url else profile_name(config, overrides, os.environ)
    profile = Profiles(Path(config.data_dir)).get(name) if name else None
    found = url or (profile.endpoint if profile else _scheme(client_endpoint(config), config, overrides))
    home = Path(config.data_dir)
    given = _given(profile)
    trust = profile.tls if profile else Trust()
    return Endpoint(
        found,
        headers=_headers(home, found, given),
        downloads=config.result_downloaders,
        insecure=config.api.tls.insecure or trust.insecure if overrides.insecure is None else overrides.insecure,
        ca_file=overrides.cacert or trust.cacert or config.api.tls.ca_file,
        seconds=profile.seconds if profile else 0,
        home=None if given else home,
    )


class Options(NamedTuple):
    """The options of a client of the library, as `AsyncClient` explains them."""

    url: str | None
    token: str | None
    auth: tuple[str, str] | None
    namespace: str | None
    timeout: float | None
    verify: bool | str | ssl.SSLContext
    headers: Mapping[str, str] | None
    profile: str | None
    transport: httpx.AsyncBaseTransport | None


def make_endpoint(options: Options) -> Endpoint:
    """Make the endpoint that a program asks for. Raises as `AsyncClient` does."""
    verify, given = options.verify, _chosen(options.token, options.auth)
    if options.url and options.profile:
        raise with_hint(
            BadRequest(f"both url {options.url} and profile {options.profile} are given", hint="give one of them")
        )
    found = _without_disk(options.url, given) if options.profile is None else _of_profile(options.profile, given)
    return found._replace(
        headers={**found.headers, **given, **(options.headers or {})},
        seconds=_seconds(options.timeout) or found.seconds,
        insecure=found.insecure or verify is False,
        ca_file=verify if isinstance(verify, str) else found.ca_file,
        context=verify if isinstance(verify, ssl.SSLContext) else None,
        namespace=options.namespace or "",
        transport=options.transport,
    )


def _chosen(token: str | None, auth: tuple[str, str] | None) -> dict[str, str]:
    if token and auth:
        raise with_hint(BadRequest("both token and auth are given", hint="give one of them"))
    return _basic(*auth) if auth else bearer(token or "")


def _seconds(timeout: float | None) -> float:
    if timeout is not None and timeout <= 0:
        raise with_hint(
            BadRequest(f"timeout is {timeout:g}, but must be more than 0 seconds", hint="leave it out for 30 s")
        )
    return timeout or 0


def _without_disk(url: str | None, given: dict[str, str]) -> Endpoint:
    """Make the endpoint that the environment names, without a look at any file."""
    return Endpoint(url or _told_url(os.environ), headers=_version_headers() | (given or credentials(os.environ)))


def _told_url(env: Mapping[str, str]) -> str:
    own = Config().api
    port = env.get("BACALHAU_API_PORT", "") or str(own.port)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise with_hint(
            BadRequest(f"BACALHAU_API_PORT is '{port}', which is no port", hint="set a number from 1 to 65535")
        )
    api = msgspec.structs.replace(own, host=env.get("BACALHAU_API_HOST", "") or own.host, port=int(port))
    return client_endpoint(msgspec.structs.replace(Config(), api=api))


def _of_profile(profile: str, given: dict[str, str]) -> Endpoint:
    """Make the endpoint of a profile, as the command line does; a credential that is given goes before its own."""
    found = resolve_endpoint(overrides=Overrides(profile=None if profile == CURRENT else profile))
    return found._replace(home=None) if given else found


def client_config(overrides: Overrides) -> Config:
    flags = {"API.Host": overrides.api_host, "API.Port": overrides.api_port, "DataDir": overrides.data_dir}
    return load_config(list(overrides.config), os.environ, flags)


def profile_name(config: Config, overrides: Overrides, env: Mapping[str, str]) -> str:
    """The profile whose server is meant; "" when the configuration says which."""
    if overrides.names_server:
        return ""
    if overrides.profile:
        return overrides.profile
    if config.api.host not in _UNTOLD_HOSTS or config.api.port != Config().api.port:
        return ""
    return env.get("BACALHAU_PROFILE", "") or Profiles(Path(config.data_dir)).current()


def _scheme(url: str, config: Config, overrides: Overrides) -> str:
    """A host without a scheme is called over TLS when the flag or the configuration says so."""
    return url.replace("http://", "https://", 1) if overrides.tls or config.api.tls.use_tls else url


def _given(profile: Profile | None) -> dict[str, str]:
    """The credential that was set for this server: in the environment, or with its profile."""
    token = profile.auth.token if profile else ""
    return credentials(os.environ) or bearer(token)


def _headers(data_dir: Path, url: str, given: dict[str, str]) -> dict[str, str]:
    own = client_id(data_dir)
    return {
        **_version_headers(),
        **({CLIENT_HEADER: own} if own else {}),
        **(given or bearer(get_token(data_dir, url))),
    }


def _version_headers() -> dict[str, str]:
    version = this_version()
    return {
        "X-Bacalhau-Git-Version": version.git_version,
        "X-Bacalhau-Git-Commit": version.git_commit,
        "X-Bacalhau-Build-Date": version.build_date,
        "X-Bacalhau-Build-OS": version.goos,
        "X-Bacalhau-Arch": version.goarch,
    }


class Given(NamedTuple):
    """The variables that hold credentials."""

    key: str
    token: str
    user: str
    password: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Given":
        return cls(*(env.get(f"BACALHAU_API_{name}", "") for name in ("KEY", "TOKEN", "USERNAME", "PASSWORD")))


def credentials(env: Mapping[str, str]) -> dict[str, str]:
    """The header of BACALHAU_API_KEY or BACALHAU_API_TOKEN, or of BACALHAU_API_USERNAME with BACALHAU_API_PASSWORD."""
    key, token, user, password = Given.of(env)
    if key and token and key != token:
        raise Unauthorized(
            "authentication error: can't use both BACALHAU_API_KEY and BACALHAU_API_TOKEN", hint="unset one of them"
        )
    name, shown = ("BACALHAU_API_KEY", key) if key else ("BACALHAU_API_TOKEN", token)
    if shown and (user or password):
        raise Unauthorized(
            f"authentication error: can't use both {name} and BACALHAU_API_USERNAME", hint="unset one of them"
        )
    if bool(user) != bool(password):
        given, absent = ("USERNAME", "PASSWORD") if user else ("PASSWORD", "USERNAME")
        raise Unauthorized(f"BACALHAU_API_{given} provided but not BACALHAU_API_{absent}", hint="set both, or neither")
    return _basic(user, password) if user else bearer(shown)


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
