"""The addresses that a job may make its node connect to.

The rule looks at the address of the connection itself, after names are resolved and redirects followed, because a name
can mean another address at each look. Metadata services of clouds hand out the credentials of the machine: nothing
opens them. Loopback and the node's own addresses lead to services that trust whoever is on the machine: they are open
only while this is one person's machine. Networks that the administrator names decide before that, the narrowest first.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.network import causes

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local; the metadata service of nearly all clouds is 169.254.169.254
        "fe80::/10",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google Cloud
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle Cloud
    )
)
LOOPBACK: tuple[Network, ...] = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


class AddressRefused(OSError):
    """A connection that the rule does not allow; `reason` says why, `hint` what allows it."""

    def __init__(self, address: str, reason: str, hint: str) -> None:
        super().__init__(f"{address} {reason}")
        self.reason, self.hint = f"{address} {reason}", hint


def refused_address(error: BaseException) -> AddressRefused | None:
    """Find the refusal among an error's causes; None where the connection failed for another reason."""
    return next((cause for cause in causes(error) if isinstance(cause, AddressRefused)), None)


@dataclass(frozen=True)
class Reach:
    """The rule of one node, or of a client. `own`: loopback and the machine's own addresses are open.

    `setting` is the prefix of the two lists in the configuration, for hints; "" for a client, which has no lists.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    own: bool = False
    setting: str = "InputSources"

    def require(self, address: str) -> None:
        """Return when a connection to this IP address is allowed. Raises AddressRefused."""
        for each in _meanings(ipaddress.ip_address(address.partition("%")[0])):
            if any(each in network for network in _METADATA):
                raise AddressRefused(address, "is a link-local or metadata address, which no job may reach", "")
            self._require_one(each, address)

    def _require_one(self, each: Address, shown: str) -> None:
        verdict = self._listed(each)
        if verdict is False:
            hint = f"{self.setting}.DeniedNetworks in the node's configuration lists its network"
            raise AddressRefused(shown, "is denied on this node", hint)
        if verdict or self.own or not is_own(each):
            return
        if not self.setting:
            hint = "the orchestrator's API is not on this machine, so no result can be"
            raise AddressRefused(shown, "belongs to this machine itself, whose services results may not reach", hint)
        hint = f"{self.setting}.AllowedNetworks in the node's configuration can allow its network"
        raise AddressRefused(shown, "belongs to the node itself, whose services jobs may not reach", hint)

    def _listed(self, each: Address) -> bool | None:
        """Return the verdict of the narrowest listed network that holds the address; a denial wins a tie."""
        lists = ((self.allowed, True), (self.denied, False))
        found = [(network.prefixlen, not verdict) for nets, verdict in lists for network in nets if each in network]
        return not max(found)[1] if found else None


EVERYWHERE = Reach(own=True)


def read_networks(texts: Sequence[str], key: str) -> tuple[Network, ...]:
    """Read CIDRs or single addresses. Raises BadRequest naming the key and what is wrong."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError as e:
            raise BadRequest(f"{key}: {text!r} is not a network", hint="write it as 10.0.0.0/8 or fd00::/8") from e
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Tell whether a host as configured, a name or an address, is only reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _meanings(address: Address) -> Iterator[Address]:
    """Yield the address, and the IPv4 address that it stands for in a mapped or translated form."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def is_own(address: Address) -> bool:
    """Tell whether a connection there ends on this machine: only own addresses can be bound."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return not address.is_multicast
