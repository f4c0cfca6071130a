"""Translation of the daemon's errors into ours: the root cause first, then what to do."""

import re

from bacalhau.lib.errors import BacalhauError, EngineAway, EngineFailure, Unavailable
from bacalhau.plugins.docker.reference import HUB, read_repository

START_HINT = "start Docker (or Podman's API service) on this node, or set DOCKER_HOST to where it listens"
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|timeout|timed out|deadline exceeded|TLS handshake|EOF|server"
    r" misbehaving",
    re.I,
)
_MISSING = re.compile(r"manifest unknown|not found|repository does not exist|no such image|name unknown", re.I)
_DENIED = re.compile(r"unauthorized|no basic auth|denied|forbidden", re.I)
_INIT = re.compile(r"\[FATAL tini \(\d+\)\] exec (.*) failed: (.*)\n")
_FILES_LIMIT = re.compile(r"rlimit type [67]\b|RLIMIT_(NOFILE|NPROC)")
_CURES = (
    ("could not select device driver", "install the NVIDIA Container Toolkit for this node's Docker daemon"),
    (
        "bind source path does not exist",
        "the Docker daemon must see the folders of this node: let DOCKER_HOST name one of this machine",
    ),
)
INIT_FAILED = (1, 126, 127)  # its exit codes then
_BUSY = re.compile(r"toomanyrequests|too many requests|\b50[0-9]\b", re.I)


class FilesLimitRefused(EngineFailure):
    """A start that failed because the daemon may not raise the limit of open files that high: its own is lower."""


def unreachable(url: str, reason: str) -> EngineAway:
    return EngineAway(f"cannot reach the Docker API at {url}: {reason}", hint=START_HINT, component="Docker")


def refused(doing: str, status: int, message: str) -> EngineFailure:
    """The daemon's answer to a request. Its own faults (5xx) may pass or be this node's alone; the task's will not."""
    if _FILES_LIMIT.search(message):
        return FilesLimitRefused(f"failed to {doing}: {_cause(message)}", component="Docker")
    hint = next((cure for sign, cure in _CURES if sign in message), "")
    return EngineFailure(
        f"failed to {doing}: {_cause(message)}", hint=hint, retryable=status >= 500, component="Docker"
    )


def not_executed(printed: str) -> EngineFailure | None:
    """Make the error of a task whose program process 1 could not start, from its whole stderr; None for other ends."""
    found = _INIT.fullmatch(printed)
    if found is None:
        return None
    cause = _cause(f'exec: "{found[1]}": {found[2].lower()}')
    return EngineFailure(f"failed to start container: {cause}", component="Docker")


def _cause(message: str) -> str:
    """Cut the chain of wrappers around what the kernel said."""
    text = message.strip().removesuffix(": unknown")
    at = text.find('exec: "')
    if at < 0:
        return text
    text = text[at:]
    missing = "executable file not found" in text or "no such file or directory" in text
    return f"executable file not found: {text}" if missing else text


def not_pulled(image: str, message: str, told: str) -> BacalhauError:
    """Make the error of a pull that failed; `told` says by which credentials the registry was asked. Missing comes
    before denied: registries answer "denied" for what does not exist.
    """
    host = read_repository(image).registry
    if _UNREACHABLE.search(message):
        return Unavailable(
            f"cannot reach registry {host}: {_last(message)}",
            hint=f"image {image} is not on this node either",
            component="Docker",
        )
    login = f"log in on the node as the user that runs it (docker login{'' if host == HUB else f' {host}'})"
    if _MISSING.search(message):
        return EngineFailure(
            f"image not available: {image} was not found (registry {host} was asked {told})",
            hint=f"check the name and tag; for a private image {login}",
            component="Docker",
        )
    if _DENIED.search(message):
        return EngineFailure(
            f"registry {host}, which was asked {told}, refused access to image {image}: {_last(message)}",
            hint=f"{login}, or pull the image there beforehand",
            component="Docker",
        )
    return EngineFailure(
        f"failed to pull image {image} (registry {host} was asked {told}): {message.strip()}",
        retryable=bool(_BUSY.search(message)),
        component="Docker",
    )


def _last(message: str) -> str:
    return message.strip().rsplit(": ", 1)[-1]
