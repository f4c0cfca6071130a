"""Extras that a task asks of its container, and a node's limits for them: /dev/shm, memory as folders, ulimits.

Jobs write them as Docker's command line does, sizes as everywhere here (`64mb`, `2Gi`). Memory as a folder counts in
the memory of the task. Pure.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from bacalhau.config.plugins import DockerSettings
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_bytes, show_bytes
from bacalhau.plugins.docker.isolation import KEY

FILES = "nofile"
UNLIMITED = -1
_NAMES = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack"),
)
_VALUE = re.compile(r"-1|[0-9]{1,18}")
_SWITCHES = ("rw", "ro", "exec", "noexec", "nosuid", "nodev")
_NUMBERS = {"mode": re.compile(r"[0-7]{3,4}"), "uid": re.compile(r"[0-9]{1,9}"), "gid": re.compile(r"[0-9]{1,9}")}

T = TypeVar("T")


class Ulimit(NamedTuple):
    """A limit of a process; -1 is none."""

    name: str
    soft: int
    hard: int


class Tmpfs(NamedTuple):
    """Memory that appears as a folder; `size` in bytes, 0 where the job names none."""

    target: str
    size: int
    options: tuple[str, ...]


class Extras(NamedTuple):
    """All that a task asks for; `shm` in bytes, 0 where it asks for none."""

    shm: int = 0
    tmpfs: tuple[Tmpfs, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()


NOTHING = Extras()


@dataclass(frozen=True)
class Allowance:
    """The limits of a node: `memory` in bytes for /dev/shm and for each folder, 0 for any; the ulimits that jobs may
    set, each with its highest value, -1 for any.
    """

    memory: int = 0
    ulimits: tuple[tuple[str, int], ...] = ()

    def list_objections(self, extras: Extras) -> list[str]:
        """List why this node does not give what a task asks for; empty when it does."""
        asked = [("ShmSize", extras.shm), *((f"Tmpfs {one.target}", one.size) for one in extras.tmpfs)]
        found = [
            f"does not give {name} of {show_bytes(size)}: {KEY}.MaxShmSize is {show_bytes(self.memory)}"
            for name, size in asked
            if self.memory and size > self.memory
        ]
        return found + [text for one in extras.ulimits if (text := self._object_to_ulimit(one))]

    def _object_to_ulimit(self, asked: Ulimit) -> str:
        most = dict(self.ulimits).get(asked.name)
        if most is None:
            names = ", ".join(name for name, _ in self.ulimits) or "none"
            return f"does not let jobs set ulimit {asked.name}: {KEY}.AllowedUlimits names {names}"
        if most != UNLIMITED and (asked.hard == UNLIMITED or asked.hard > most):
            keys = f"{KEY}.AllowedUlimits{' and MaxOpenFiles' if asked.name == FILES else ''}"
            return f"does not give ulimit {asked.name} of {_shown(asked.hard)}: at most {most} by {keys}"
        return ""

    def host_config(self, extras: Extras) -> dict[str, Any]:
        """Make a part of HostConfig."""
        made: dict[str, Any] = {}
        if extras.shm:
            made["ShmSize"] = extras.shm
        if extras.tmpfs:
            made["Tmpfs"] = {one.target: self._tmpfs_options(one) for one in extras.tmpfs}
        if extras.ulimits:
            made["Ulimits"] = [{"Name": one.name, "Soft": one.soft, "Hard": one.hard} for one in extras.ulimits]
        return made

    def _tmpfs_options(self, asked: Tmpfs) -> str:
        size = asked.size or self.memory
        return ",".join((*asked.options, *((f"size={size}",) if size else ())))


ANY_EXTRAS = Allowance(ulimits=tuple((name, UNLIMITED) for name in _NAMES))


def read_allowance(settings: DockerSettings) -> Allowance:
    """Read the limits of a node. Raises BadRequest naming key and value."""
    try:
        memory = parse_bytes(settings.max_shm_size) if settings.max_shm_size.strip() else 0
    except ValueError as e:
        raise BadRequest(
            f"{KEY}.MaxShmSize: {settings.max_shm_size!r} is not a size", hint="write it like 64Mb, or leave it empty"
        ) from e
    ulimits = dict(_read_allowed(text) for text in settings.allowed_ulimits)
    most = settings.max_open_files
    if FILES in ulimits and most and not 0 <= ulimits[FILES] <= most:
        ulimits[FILES] = most
    return Allowance(memory, tuple(ulimits.items()))


def _read_allowed(text: str) -> tuple[str, int]:
    name, equals, most = text.strip().partition("=")
    if name not in _NAMES or (equals and not _VALUE.fullmatch(most)):
        raise BadRequest(
            f"{KEY}.AllowedUlimits: {text!r} is not a ulimit",
            hint=f"write NAME or NAME=MAXIMUM, the name one of {', '.join(_NAMES)}",
        )
    return name, int(most) if equals else UNLIMITED


def read_extras(shm: str | int | None, tmpfs: tuple[str, ...], ulimits: tuple[str, ...]) -> tuple[Extras, list[str]]:
    """Read what a task asks for, and list every problem of it."""
    problems: list[str] = []

    def tried(name: str, form: str, texts: tuple[T, ...], read: Any) -> list[Any]:
        found = []
        for text in texts:
            try:
                found.append(read(text))
            except ValueError:
                problems.append(f"'{name}' {text!r} is not understood: write {form}")
        return found

    sizes = tried("ShmSize", "a size above 0, such as 2Gb", () if shm is None or shm == "" else (shm,), _read_size)
    folders = tried("Tmpfs", "/PATH or /PATH:size=64Mb,mode=1777,exec", tmpfs, _read_tmpfs)
    limits = tried("Ulimits", f"NAME=SOFT or NAME=SOFT:HARD, NAME one of {', '.join(_NAMES)}", ulimits, _read_ulimit)
    for kind, names in (("Tmpfs", [one.target for one in folders]), ("Ulimits", [one.name for one in limits])):
        problems += [f"'{kind}' names {name} twice" for name in sorted({n for n in names if names.count(n) > 1})]
    return Extras(sizes[0] if sizes else 0, tuple(folders), tuple(limits)), problems


def _read_size(size: str | int) -> int:
    found = parse_bytes(str(size))
    if found <= 0:
        raise ValueError(size)
    return found


def _read_tmpfs(text: str) -> Tmpfs:
    target, _, options = text.partition(":")
    clean = posixpath.normpath(target)
    if not target.startswith("/") or clean in ("/", "//"):
        raise ValueError(text)
    size, kept = 0, []
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "size":
            size = _read_size(value)
        elif option in _SWITCHES or (name in _NUMBERS and _NUMBERS[name].fullmatch(value)):
            kept.append(option)
        else:
            raise ValueError(text)
    return Tmpfs("/" + clean.lstrip("/"), size, tuple(kept))


def _read_ulimit(text: str) -> Ulimit:
    name, _, values = text.strip().partition("=")
    soft, colon, hard = values.replace("unlimited", "-1").partition(":")
    if name not in _NAMES or not _VALUE.fullmatch(soft) or (colon and not _VALUE.fullmatch(hard)):
        raise ValueError(text)
    found = Ulimit(name, int(soft), int(hard if colon else soft))
    if found.hard != UNLIMITED and (found.soft == UNLIMITED or found.soft > found.hard):
        raise ValueError(text)
    return found


def _shown(value: int) -> str:
    return "unlimited" if value == UNLIMITED else str(value)
