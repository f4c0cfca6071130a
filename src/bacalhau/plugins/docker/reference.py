"""The names of images, read as Docker reads them: `alpine` is `docker.io/library/alpine`. Pure."""

from typing import NamedTuple

HUB = "docker.io"
_OLD_HUB = "index.docker.io"


class Repository(NamedTuple):
    """The place of an image without tag and digest: `registry` is host[:port], `path` its name there."""

    registry: str
    path: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


def read_repository(image: str) -> Repository:
    """Read `[host[:port]/]path[:tag][@digest]`; a name without a host is Docker Hub's."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    registry, path = (canonical(first), rest) if slash and is_host(first) else (HUB, name)
    head, slash, last = path.rpartition("/")
    path = head + slash + last.partition(":")[0]
    return Repository(registry, f"library/{path}" if registry == HUB and "/" not in path else path)


def is_host(first: str) -> bool:
    """Tell whether the first part of a name is a host: it has a dot, a colon or a capital letter, or is `localhost`."""
    return bool(set(first) & {".", ":"}) or first == "localhost" or first != first.lower()


def canonical(registry: str) -> str:
    """Return the name by which a registry is known."""
    return HUB if registry == _OLD_HUB else registry


def full_name(image: str) -> str:
    """Return the name of an image with its registry and its whole path; tag and digest stay."""
    name, at, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")
    return f"{read_repository(image)}{tag[1]}{tag[2]}{at}{digest}"
