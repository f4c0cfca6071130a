"""Parts of a container that Podman's edition of the Engine API leaves out, or takes for something else.

It drops what it does not know without a word: a task would run without its GPU. It writes each mount as one line of
options with commas between them, so a comma in a path is the beginning of another option. Folders that are missing it
makes, where Docker says so. All of that is refused here.
"""

import os
from collections.abc import Iterable

from yarl import URL

from bacalhau.lib.errors import EngineFailure
from bacalhau.plugins.docker.extras import Extras
from bacalhau.plugins.docker.gpus import needs_driver
from bacalhau.plugins.docker.isolation import Facts
from bacalhau.ports.engine import EngineTask, Mount

_SPECIAL = ',"\r\n'  # of a line of options
_HERE = ("localhost", "127.0.0.1", "::1")


def check_podman(task: EngineTask, extras: Extras, facts: Facts, url: str) -> None:
    """Return when Podman at `url` can run a task as it is meant. Raises EngineFailure naming what it cannot. Blocks."""
    if needs_driver(task.resources):
        raise _refusal("gives no GPUs of NVIDIA by its API", "run jobs with such GPUs on nodes with Docker")
    if extras.ulimits and facts.is_rootless:
        raise _refusal("sets no Ulimits, because it is not run by root", "leave Ulimits out, or run it as root")
    if task.mounts and not url.startswith("unix://") and URL(url).host not in _HERE:
        hint = "let DOCKER_HOST name a Podman of this machine, or none"
        raise _refusal(f"at {url} (DOCKER_HOST) is on another machine and does not see the folders of this node", hint)
    _check_paths(task.mounts)


def _check_paths(mounts: Iterable[Mount]) -> None:
    for mount in mounts:
        source = mount.held.place if mount.held else str(mount.host_path)
        for path in (source, mount.target):
            if any(sign in path for sign in _SPECIAL):
                raise _refusal(
                    f"cannot mount {source} at {mount.target}: a comma, a quotation mark or a new line is in {path!r}",
                    "choose another target or folder, or a node with Docker",
                )
        if not os.path.lexists(source):
            raise EngineFailure(f"mount source {source} does not exist", component="Docker")


def _refusal(what: str, hint: str) -> EngineFailure:
    return EngineFailure(f"this node's Podman {what}", hint=hint, retryable=True, component="Docker")
