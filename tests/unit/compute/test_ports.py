"""Ports of tasks: given out once, kept, given back, and never one that somebody else listens on."""

import pytest

from bacalhau.compute.state.ports import PortPool, port_variables, show_ports
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.job.network import NetworkConfig, PortMapping


def pool(first=20000, last=20002, taken=()):
    return PortPool(first, last, lambda _, port: port not in taken)


def ask(made, execution_id="e", kind="Bridge", **ports):
    wanted = tuple(PortMapping(name=name, static=static, target=target) for name, (static, target) in ports.items())
    return [
        (port.name, port.static, port.target)
        for port in made.reserve(execution_id, NetworkConfig(type=kind, ports=wanted))
    ]


def test_numbers_are_filled_in():
    assert ask(pool(), web=(0, 80), admin=(8080, 0)) == [("web", 20000, 80), ("admin", 8080, 8080)]
    assert ask(pool(), kind="Host", web=(0, 0)) == [("web", 20000, 20000)]
    assert ask(pool()) == []


def test_nobody_gets_what_another_has():
    made = pool(taken={20001})
    assert ask(made, "one", web=(0, 80)) == [("web", 20000, 80)]
    assert ask(made, "two", web=(0, 80)) == [("web", 20002, 80)]
    with pytest.raises(Unavailable, match="no port between 20000 and 20002 is free on this node for web") as full:
        ask(made, "three", web=(0, 80))
    with pytest.raises(Unavailable, match=r"port 20000 \(web\) is in use on this node") as owned:
        ask(made, "three", web=(20000, 80))
    assert owned.value.retryable and not full.value.retryable
    made.release("one")
    assert ask(made, "three", web=(0, 80)) == [("web", 20000, 80)]


def test_a_port_given_back_rests_a_while():
    made = pool()
    assert ask(made, "one", web=(0, 80))[0][1] == 20000
    made.release("one")
    assert [ask(made, str(n), web=(0, 80))[0][1] for n in range(3)] == [20001, 20002, 20000]


def test_asking_again_gives_the_same():
    made = pool()
    assert ask(made, web=(0, 80)) == ask(made, web=(0, 80)) == [("web", 20000, 80)]


def test_all_or_nothing():
    made = pool(taken={9000})
    with pytest.raises(Unavailable) as foreign:
        ask(made, "one", web=(8000, 80), admin=(9000, 81))
    assert foreign.value.retryable
    assert ask(made, "two", web=(8000, 80)) == [("web", 8000, 80)]


def test_a_static_port_of_the_range_is_not_given_to_the_same_task_twice():
    assert ask(pool(), web=(0, 80), admin=(20000, 81)) == [("web", 20001, 80), ("admin", 20000, 81)]


def test_what_an_earlier_process_gave_out_is_kept():
    made = pool()
    made.adopt("old", (PortMapping(name="web", static=20000, target=80),))
    assert ask(made, "new", web=(0, 80)) == [("web", 20001, 80)]
    assert ask(made, "old", web=(0, 80)) == [("web", 20000, 80)]


def test_a_range_without_ports_is_refused():
    for first, last in ((30000, 20000), (80, 90)):
        with pytest.raises(
            BadRequest, match=f"Compute.Network.PortRangeStart {first} and PortRangeEnd {last} span no ports"
        ):
            PortPool(first, last)


def test_what_the_task_and_others_are_told():
    ports = (
        PortMapping(name="web", static=20000, target=80),
        PortMapping(name="a", static=20001, target=81, host_network="127.0.0.1"),
    )
    assert port_variables(ports) == {
        "BACALHAU_PORT_web": "80",
        "BACALHAU_HOST_PORT_web": "20000",
        "BACALHAU_PORT_a": "81",
        "BACALHAU_HOST_PORT_a": "20001",
    }
    assert show_ports(ports, "fd00::1") == {"web": "[fd00::1]:20000", "a": "127.0.0.1:20001"}
