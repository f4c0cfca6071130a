"""The node's ports that jobs listen on: given out at admission, kept until the execution ends, never twice."""

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

from msgspec.structs import replace

from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.lib.network import host_in_url
from bacalhau.lib.ports import is_free
from bacalhau.models.job.network import NetworkConfig, NetworkType, PortMapping

ANYWHERE = "0.0.0.0"


class PortPool:
    """`first` to `last` are for those who do not mind which; a static port may be any. `is_free` looks at
    the machine. `address` is where ports of a bridge are bound that name no address, "" for every address.
    """

    def __init__(
        self,
        first: int = 20000,
        last: int = 32000,
        is_free: Callable[[str, int], bool] = is_free,
        *,
        address: str = "",
    ) -> None:
        if not 1024 <= first <= last:
            raise BadRequest(
                f"Compute.Network.PortRangeStart {first} and PortRangeEnd {last} span no ports",
                hint="the range begins at 1024 or above and does not end before it",
            )
        self._first, self._last, self._is_free, self._address = first, last, is_free, address
        self._next = first
        self._owners: dict[int, str] = {}
        self._given: dict[str, tuple[PortMapping, ...]] = {}

    def reserve(self, execution_id: str, network: NetworkConfig) -> tuple[PortMapping, ...]:
        """The mappings with every number filled in; the same again when asked again.

        Raises Unavailable when one cannot be had, `retryable` where whoever has it may be going.
        """
        if execution_id not in self._given and network.ports:
            try:
                static = [self._take(execution_id, port, network.kind()) for port in network.ports if port.static]
                chosen = [self._take(execution_id, port, network.kind()) for port in network.ports if not port.static]
            except Unavailable:
                self.release(execution_id)
                raise
            by_name = {port.name: port for port in (*static, *chosen)}
            self._given[execution_id] = tuple(by_name[port.name] for port in network.ports)
        return self._given.get(execution_id, ())

    def adopt(self, execution_id: str, ports: Iterable[PortMapping]) -> None:
        """Take over ports that an earlier process of this node gave out; their owner listens there."""
        self._given[execution_id] = tuple(ports)
        self._owners |= {port.static: execution_id for port in self._given[execution_id]}

    def release(self, execution_id: str) -> None:
        self._given.pop(execution_id, None)
        self._owners = {number: owner for number, owner in self._owners.items() if owner != execution_id}

    def _take(self, execution_id: str, port: PortMapping, kind: NetworkType) -> PortMapping:
        if kind == NetworkType.BRIDGE:
            port = replace(port, host_network=port.host_network or self._address)
        number = port.static or self._find(port)
        if number in self._owners or not (port.static == 0 or self._is_free(port.host_network or ANYWHERE, number)):
            raise Unavailable(f"port {number} ({port.name}) is in use on this node", retryable=True)
        self._owners[number] = execution_id
        inside = number if kind in (NetworkType.HOST, NetworkType.FULL) else port.target or number
        return replace(port, static=number, target=inside)

    def _find(self, port: PortMapping) -> int:
        """The next free number of the range, round and round, so that a port just given back rests a while."""
        span = self._last - self._first + 1
        for step in range(span):
            number = self._first + (self._next - self._first + step) % span
            if number not in self._owners and self._is_free(port.host_network or ANYWHERE, number):
                self._next = number + 1
                return number
        raise Unavailable(
            f"no port between {self._first} and {self._last} is free on this node for {port.name}", retryable=False
        )


def port_variables(ports: Iterable[PortMapping]) -> dict[str, str]:
    """BACALHAU_PORT_name is where the task listens, BACALHAU_HOST_PORT_name where the node is reached."""
    found = {}
    for port in ports:
        found[f"BACALHAU_PORT_{port.name}"] = str(port.target or port.static)
        found[f"BACALHAU_HOST_PORT_{port.name}"] = str(port.static)
    return found


def show_ports(ports: Iterable[PortMapping], address: str) -> dict[str, str]:
    """Show the addresses at which others reach a task, by the names of its ports."""
    return {port.name: f"{host_in_url(_reachable(port.host_network, address))}:{port.static}" for port in ports}


def _reachable(bound: str, address: str) -> str:
    return address if bound in ("", ANYWHERE, "::") else bound


def own_address() -> str:
    """This machine's address as its network sees it; loopback where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
