"""The port of a node that only runs jobs: the configured one, or one that leaves the orchestrator's free.

On a machine of its own such a node is asked at API.Port like every other. Beside its orchestrator, which has the same
default, it must neither fail nor be there first: where nobody has set API.Port it takes the next port that is free.
"""

import ipaddress
import socket
from contextlib import suppress

from bacalhau.api.app import PortInUse, listen
from bacalhau.app.bus_address import hosts_of
from bacalhau.border.addresses import is_own
from bacalhau.config.access import API

TRIES = 100  # ports after the first


def node_listener(api: API, orchestrators: str, *, is_set: bool) -> socket.socket:
    """Listen on the port of a node. `is_set`: somebody has set API.Port.

    Raises Unavailable when the port that is set is in use, or none is free.
    """
    first = api.port if is_set or not _has_neighbour(orchestrators) else api.port + 1
    last = first if is_set else first + TRIES
    for port in range(first, last):
        with suppress(PortInUse):
            return listen(api.host, port)
    return listen(api.host, last)


def _has_neighbour(orchestrators: str) -> bool:
    """Tell whether an orchestrator is on this machine, as far as addresses tell without asking for a name."""
    return any(_is_here(host) for host in hosts_of(orchestrators))


def _is_here(host: str) -> bool:
    if host in ("localhost", socket.gethostname()):
        return True
    try:
        return is_own(ipaddress.ip_address(host))
    except ValueError:
        return False
