"""Which server, and as whom: flags, environment and configuration become one endpoint, for the command line and the SDK alike."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from bacalhau.client.identity import client_id
from bacalhau.client.overrides import NO_OVERRIDES, Overrides
from bacalhau.client.transport import Endpoint
from bacalhau.config.load import client_endpoint, load_config
from bacalhau.lib.errors import Unauthorized

CLIENT_HEADER = "X-Bacalhau-InstallationID"


def resolve_endpoint(url: str | None = None, overrides: Overrides = NO_OVERRIDES) -> Endpoint:
    """`url` wins over everything else. Raises BadRequest for a configuration that cannot be read, Unauthorized for half a credential."""
    flags = {"API.Host": overrides.api_host, "API.Port": overrides.api_port, "DataDir": overrides.data_dir}
    config = load_config(list(overrides.config), os.environ, flags)
    found = url or client_endpoint(config)
    if overrides.tls and found.startswith("http://"):
        found = "https://" + found.removeprefix("http://")
    own = client_id(Path(config.data_dir))
    downloads = config.result_downloaders
    return Endpoint(
        found,
        headers={**({CLIENT_HEADER: own} if own else {}), **credentials(os.environ)},
        ipfs=downloads.types.ipfs.endpoint,
        no_downloads=tuple(kind.lower() for kind in downloads.disabled),
        download_seconds=downloads.timeout,
    )


def credentials(env: Mapping[str, str]) -> dict[str, str]:
    """The header of BACALHAU_API_KEY, or of BACALHAU_API_USERNAME with BACALHAU_API_PASSWORD."""
    key, user, password = (env.get(f"BACALHAU_API_{name}", "") for name in ("KEY", "USERNAME", "PASSWORD"))
    if key and (user or password):
        raise Unauthorized("authentication error: can't use both BACALHAU_API_KEY and BACALHAU_API_USERNAME", hint="unset one of them")
    if bool(user) != bool(password):
        given, absent = ("USERNAME", "PASSWORD") if user else ("PASSWORD", "USERNAME")
        raise Unauthorized(f"BACALHAU_API_{given} provided but not BACALHAU_API_{absent}", hint="set both, or neither")
    if user:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {key}"} if key else {}
