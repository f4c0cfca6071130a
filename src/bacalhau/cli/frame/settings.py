"""The flags every command takes, before or after its name: which configuration, which server.

Nothing is read here; the command that needs a configuration gives these to the loader.
"""

from typing import Any

import click

from bacalhau.cli.frame.pflag import Flag
from bacalhau.cli.frame.reading import whole
from bacalhau.client.overrides import NO_OVERRIDES, Overrides

SECTION = "Global flags"
_KEY = "bacalhau.settings"


def current() -> Overrides:
    """Return what was given on the command line being run."""
    given: Overrides = click.get_current_context().meta.get(_KEY, NO_OVERRIDES)
    return given


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep what was given beside what was given before the command's name; values of -c add up."""
    if value is None or value == () or (value is False and param.name != "insecure"):
        return
    kept: Overrides = ctx.meta.get(_KEY, NO_OVERRIDES)
    changed: dict[str, Any] = {str(param.name): (*kept.config, *value) if param.name == "config" else value}
    ctx.meta[_KEY] = kept._replace(**changed)


def _global(*names: str, **kwargs: Any) -> Flag:
    flag = Flag(*names, expose_value=False, callback=_keep, **kwargs)
    flag.section = SECTION
    return flag


FLAGS = [
    _global(
        "-c",
        "--config",
        multiple=True,
        metavar="FILE|KEY=VALUE",
        help="Configuration file, or one value such as API.Port=1234; repeatable, later wins.",
    ),
    _global("--api-host", default=None, metavar="HOST", help="Host of the orchestrator's API (BACALHAU_API_HOST)."),
    _global(
        "--api-port",
        default=None,
        type=whole(0, 65535),
        metavar="PORT",
        help="Port of the orchestrator's API (BACALHAU_API_PORT).",
    ),
    _global(
        "--data-dir",
        "--repo",
        "data_dir",
        default=None,
        metavar="DIR",
        help="Directory for configuration and state (BACALHAU_DIR).",
    ),
    _global(
        "--profile",
        default=None,
        metavar="NAME",
        help="The server of this profile (BACALHAU_PROFILE); see `bacalhau profile`.",
    ),
    _global("--tls", is_flag=True, default=False, help="Talk to the API over TLS."),
    _global("--cacert", default=None, metavar="FILE", help="Certificates to trust beside the system's, as a PEM file."),
    _global("--insecure", is_flag=True, default=None, help="Accept any certificate of the API."),
]
