"""Variables from `.env` in the working directory, and from the file that DEVSTACK_ENV_FILE names.

Only names this program reads are taken: a file that lies in a folder must not change PATH or LD_PRELOAD. Nor may it
choose the server that gets a credential of the environment.
"""

import os
import re
from collections.abc import MutableMapping

from bacalhau.cli.frame.say import say

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*$")
_CREDENTIALS = {
    "BACALHAU_": tuple(f"BACALHAU_API_{name}" for name in ("KEY", "TOKEN", "USERNAME", "PASSWORD")),
    "AWS_": (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        ),
    ),
    "DOCKER_": ("DOCKER_USERNAME", "DOCKER_PASSWORD", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "~/.docker/config.json"),
}
"""The credentials among the variables of each prefix that we read; a path is a file that may hold them."""
_HARMLESS = ("AWS_REGION", "AWS_DEFAULT_REGION", "DOCKER_USERNAME", "DOCKER_PASSWORD")
_ALSO = ("LOG_LEVEL", "NO_COLOR", "FORCE_COLOR")


def load_dotenv(environ: MutableMapping[str, str]) -> None:
    """`.env` fills what is not set; the file of DEVSTACK_ENV_FILE replaces.

    Where the environment holds a credential, settings of the same prefix in `.env` are left out, and a line on stderr
    says so.
    """
    found = {name: value for name, value in _read(".env").items() if name not in environ}
    for prefix, credentials in _CREDENTIALS.items():
        held = next((name for name in credentials if environ.get(name) or _is_file(name)), "")
        left_out = [name for name in found if held and name.startswith(prefix) and name not in _HARMLESS]
        if left_out:
            cure = "set them in the shell" if _is_file(held) else f"set them where {held} is set"
            say(f"{held} is set, so .env may not set {', '.join(left_out)}: {cure}", err=True)
        found = {name: value for name, value in found.items() if name not in left_out}
    environ.update(found)
    if environ.get("DEVSTACK_ENV_FILE"):
        environ.update(_read(environ["DEVSTACK_ENV_FILE"]))


def _is_file(name: str) -> bool:
    return name.startswith("~") and os.path.exists(os.path.expanduser(name))


def _read(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (_LINE.match(line) for line in text.splitlines())
    return {m[1]: _unquoted(m[2]) for m in found if m and (m[1].startswith(tuple(_CREDENTIALS)) or m[1] in _ALSO)}


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()
