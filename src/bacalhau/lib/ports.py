"""Ports of this machine that nobody listens on.

A port that the system finds itself (port 0) may be the end of somebody's outgoing connection a moment later. The ports
that are found here are for programs that are told their port before they listen on it, so they come from a range that
systems leave alone: Linux begins at 32768, others at 49152.
"""

import errno
import ipaddress
import random
import socket

from bacalhau.lib.errors import Unavailable

ROW = range(15_000, 20_000)


def is_free(address: str, port: int) -> bool:
    """Tell whether somebody could listen on a port of this machine now."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as e:
            # An address that is not this machine's is the engine's to complain about, with the task's name.
            return e.errno == errno.EADDRNOTAVAIL
    return True


def free_ports(count: int, address: str = "127.0.0.1", among: range = ROW) -> list[int]:
    """Find ports that nobody listens on, all different, at random: others look for some at the same time.

    Raises Unavailable when there are not so many.
    """
    found: list[int] = []
    for port in random.sample(among, len(among)):
        if len(found) == count:
            break
        if is_free(address, port):
            found.append(port)
    if len(found) < count:
        raise Unavailable(f"no port of {address} between {among[0]} and {among[-1]} is free")
    return found
