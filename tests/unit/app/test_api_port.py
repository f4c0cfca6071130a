"""The port of a node that only runs jobs: never the one that its orchestrator will want."""

import socket

import pytest

from bacalhau.api.app import PortInUse, listen
from bacalhau.app.api_port import node_listener
from bacalhau.config.access import API
from bacalhau.lib.errors import Unavailable

ELSEWHERE = "nats://192.0.2.1:4222"


@pytest.fixture
def free():
    """A port with two free ones behind it, out of the range that the system gives away itself."""
    for port in range(20_000, 30_000, 4):
        try:
            for number in range(port, port + 3):
                listen("127.0.0.1", number).close()
        except PortInUse:
            continue
        return port
    raise AssertionError("no free ports")


def port_of(port, orchestrators, *, is_set=False):
    with node_listener(API(port=port), orchestrators, is_set=is_set) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "orchestrators",
    ["nats://127.0.0.1:4222", "localhost", "tls://[::1]:1", f"{ELSEWHERE},nats://127.0.0.2:1", socket.gethostname()],
)
def test_beside_its_orchestrator_it_leaves_the_port_alone_even_when_it_is_there_first(free, orchestrators):
    assert port_of(free, orchestrators) == free + 1


@pytest.mark.parametrize("orchestrators", [ELSEWHERE, "orchestrator.example", "tls://[2001:db8::1]:1"])
def test_on_a_machine_of_its_own_it_is_asked_where_everybody_is(free, orchestrators):
    assert port_of(free, orchestrators) == free
    with listen("127.0.0.1", free):
        assert port_of(free, orchestrators) == free + 1


@pytest.mark.parametrize("orchestrators", ["localhost", ELSEWHERE])
def test_a_port_that_somebody_has_set_is_taken_or_refused(free, orchestrators):
    assert port_of(free, orchestrators, is_set=True) == free
    with listen("127.0.0.1", free), pytest.raises(PortInUse) as refused:
        node_listener(API(port=free), orchestrators, is_set=True)
    assert (refused.value.message, refused.value.hint) == (
        f"port {free} is in use",
        "choose another with -c API.Port=PORT",
    )


def test_an_address_of_another_machine_is_refused_at_once():
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1 port 1234") as refused:
        node_listener(API(host="192.0.2.1"), ELSEWHERE, is_set=False)
    assert "API.Host" in refused.value.hint
