"""The choice of server and credentials: flags, environment, profiles and configuration become one endpoint, for the
command line and the SDK alike.

The server is the first of: a URL given to the SDK; --api-host, --api-port or -c API.Host; --profile; a host or port of
the environment or a file that is not the default; BACALHAU_PROFILE; the profile that was selected; the default.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bacalhau.client.identity import client_id
from bacalhau.client.overrides import NO_OVERRIDES, Overrides
from bacalhau.client.profiles import Profile, Profiles, Trust
from bacalhau.client.tokens import bearer, get_token
from bacalhau.client.transport import Endpoint
from bacalhau.config.load import client_endpoint, load_config
from bacalhau.config.schema import Config
from bacalhau.lib.errors import Unauthorized
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
    if user:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return bearer(shown)
