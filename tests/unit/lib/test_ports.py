"""Ports for programs that are told their port before they listen on it."""

import socket
from pathlib import Path

import pytest

from bacalhau.lib.errors import Unavailable
from bacalhau.lib.ports import free_ports, is_free
from tests.support.ports import free_port

_GIVEN_BY_THE_SYSTEM = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.parametrize("find", [lambda: free_ports(20), lambda: [free_port() for _ in range(20)]])
def test_nobody_s_connection_gets_a_port_before_its_program_listens(find):
    first, last = map(int, _GIVEN_BY_THE_SYSTEM.read_text().split())
    found = find()
    assert len(set(found)) == 20
    assert not [port for port in found if first <= port <= last]


def test_whether_somebody_listens():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert not is_free("0.0.0.0", port)
        with pytest.raises(Unavailable, match=f"no port of 127.0.0.1 between {port} and {port} is free"):
            free_ports(1, among=range(port, port + 1))
    assert is_free("127.0.0.1", port)
    assert is_free("192.0.2.1", port)
