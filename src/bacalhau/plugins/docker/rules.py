"""The rules of a node about what jobs may ask of Docker: images, networks, ports of the node, extras. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgspec.structs import replace

from bacalhau.border.names import shorten
from bacalhau.border.patterns import Glob
from bacalhau.config.plugins import DockerSettings
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.plugins.docker.extras import ANY_EXTRAS, NOTHING, Allowance, Extras, read_allowance
from bacalhau.plugins.docker.isolation import KEY
from bacalhau.plugins.docker.reference import HUB, Repository, canonical, is_host, read_repository

LOOPBACK = "127.0.0.1"
NO_PORTS = "none"
ANOTHER_NODE = "ask the node's administrator, or select another node"
ALL_NETWORKS = (NetworkType.NONE, NetworkType.HTTP, NetworkType.BRIDGE, NetworkType.HOST)
_EVERY_ADDRESS = ("0.0.0.0", "::")
_LONGEST = 255  # characters; no name of a repository is longer
_HOST = re.compile(r"[A-Za-z0-9.*?-]+(:[0-9*]+)?|\[[0-9A-Fa-f:]+\](:[0-9*]+)?")
_PATH = re.compile(r"[a-z0-9*?][a-z0-9._/*?-]*")


class ImageRule(NamedTuple):
    """A pattern of images as it was written; host and path are matched apart, so that no path passes for a host."""

    text: str
    host: Glob
    path: Glob

    def allows(self, wanted: Repository) -> bool:
        return self.host.matches(wanted.registry.lower()) and self.path.matches(wanted.path)


@dataclass(frozen=True)
class Rules:
    """`images` are those that jobs may run, none for all; `networks` those that jobs may use.

    `host_ports` is the only address that ports may be bound to, `none` for no ports, "" for any. `is_open` says that
    `networks` is the rule for nodes that others reach, and no setting.
    """

    images: tuple[ImageRule, ...] = ()
    networks: tuple[NetworkType, ...] = ALL_NETWORKS
    host_ports: str = ""
    is_open: bool = False
    allowance: Allowance = ANY_EXTRAS

    def list_objections(self, image: str, network: NetworkConfig, extras: Extras = NOTHING) -> list[str]:
        """List why this node does not run a task with this image, network and extras; empty when it does."""
        found = [self.object_to_image(image), self._network_objection(network), *self._port_objections(network)]
        return [text for text in (*found, *self.allowance.list_objections(extras)) if text]

    def settle(self, network: NetworkConfig) -> NetworkConfig:
        """Choose for a task that leaves the network open: a bridge, or none where this node gives no bridge."""
        is_cut = network.kind() == NetworkType.DEFAULT and NetworkType.BRIDGE not in self.networks
        return replace(network, type=NetworkType.NONE) if is_cut else network

    def disguise(self, image: str, found: dict[str, Any]) -> str:
        """Say why an image that is on the node is not the one that its name promises; "" when it is.

        A name such as `sha256:3b…` or `3bfa` also finds an image by its id, whatever its repository is.
        """
        names = [*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())]
        wanted = read_repository(image)
        if not self.images or any(read_repository(name) == wanted for name in names):
            return ""
        return f"image {image} is on this node only by its id; {self._images_told}"

    @property
    def _images_told(self) -> str:
        return f"{KEY}.AllowedRegistries allows {', '.join(rule.text for rule in self.images)}"

    def object_to_image(self, image: str) -> str:
        """Say why this node does not run an image; "" when it does."""
        wanted = read_repository(image)
        if not self.images or any(rule.allows(wanted) for rule in self.images):
            return ""
        return f"does not run image {image} (of {wanted}): {self._images_told}"

    def _network_objection(self, network: NetworkConfig) -> str:
        kind = self.settle(network).kind()
        used = {NetworkType.FULL: NetworkType.HOST, NetworkType.DEFAULT: NetworkType.BRIDGE}.get(kind, kind)
        if used in self.networks:
            return ""
        if self.is_open:
            return f"does not give network {used}, because others reach this node: {KEY}.Networks can list it"
        return f"does not give network {used}: {KEY}.Networks allows {', '.join(self.networks)}"

    def _port_objections(self, network: NetworkConfig) -> list[str]:
        if network.ports and self.host_ports == NO_PORTS:
            return [f"gives jobs no ports of this node: {KEY}.HostPorts is {NO_PORTS}"]
        if self.host_ports in ("", *_EVERY_ADDRESS) or network.kind() != NetworkType.BRIDGE:
            return []
        return [
            f"does not bind port {port.name} to {port.host_network}: {KEY}.HostPorts is {self.host_ports}"
            for port in network.ports
            if port.host_network not in ("", self.host_ports)
        ]


FREE = Rules()


def read_rules(settings: DockerSettings, *, is_own: bool) -> Rules:
    """Read the rules. `is_own`: this is one person's machine. Raises BadRequest naming key, value and cure."""
    by_default = tuple(kind for kind in ALL_NETWORKS if is_own or kind != NetworkType.HOST)
    return Rules(
        images=tuple(_read_image_rule(text) for text in settings.allowed_registries),
        networks=tuple(NetworkType(name) for name in settings.networks) or by_default,
        host_ports=_read_ports(settings.host_ports),
        is_open=not settings.networks and not is_own,
        allowance=read_allowance(settings),
    )


def bound_address(settings: DockerSettings, *, is_own: bool) -> str:
    """Choose the address that ports are bound to where the job names none; "" is every address."""
    address = _read_ports(settings.host_ports)
    if not address:
        return LOOPBACK if is_own else ""
    return "" if address == NO_PORTS else address


def _read_ports(text: str) -> str:
    clean = text.strip().strip("[]").lower()
    if clean in ("", NO_PORTS):
        return clean
    try:
        return str(ipaddress.ip_address(clean))
    except ValueError as e:
        raise BadRequest(
            f"{KEY}.HostPorts: {text!r} is not an address", hint="write an IP address such as 127.0.0.1, or none"
        ) from e


def _read_image_rule(text: str) -> ImageRule:
    clean = text.strip().rstrip("/")
    host, _, path = clean.partition("/")
    is_named = is_host(host) or bool(set(host) & set("*?"))
    if len(clean) > _LONGEST or not is_named or not _HOST.fullmatch(host) or not _PATH.fullmatch(path or "**"):
        raise BadRequest(
            f"{KEY}.AllowedRegistries: {shorten(text)!r} is not a pattern of images",
            hint="write REGISTRY or REGISTRY/NAME without tag: ghcr.io, ghcr.io/acme/**, docker.io/library/alpine",
        )
    registry = canonical(host.lower())
    is_official = registry == HUB and path and not set(path) & set("/*?")
    return ImageRule(clean, Glob(registry), Glob(f"library/{path}" if is_official else path or "**"))
