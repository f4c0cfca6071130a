"""The rule of addresses: forms that hide an address, networks of the administrator, this machine."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.addresses import AddressRefused, Reach, read_networks
from bacalhau.lib.errors import BadRequest

OPEN, CLOSED = Reach(own=True), Reach()
v4 = st.ip_addresses(v=4)


def allows(reach, address):
    try:
        reach.require(str(address))
    except AddressRefused:
        return False
    return True


def forms(address):
    """One IPv4 address in every form that a connection may take for it."""
    number = int(ipaddress.IPv4Address(address))
    yield str(address)
    yield f"::ffff:{address}"
    yield str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + number))
    yield str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("2002::")) + (number << 80)))
    if number > 1:
        yield str(ipaddress.IPv6Address(number))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
)
def test_no_form_of_a_metadata_address_is_reached_whatever_is_allowed(address):
    everything = Reach(read_networks(["0.0.0.0/0", "::/0", "169.254.169.254"], "k"), own=True)
    assert [form for form in forms(address) if allows(everything, form)] == []


@pytest.mark.parametrize("address", ["fd00:ec2::254", "fe80::1", "fe80::a9fe:a9fe%eth0", "fd20:ce::254"])
def test_metadata_and_link_local_addresses_of_ipv6_are_refused(address):
    assert not allows(OPEN, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "0.0.0.0"])
def test_loopback_in_every_form_is_open_only_on_one_persons_machine(address):
    assert [form for form in forms(address) if not allows(OPEN, form)] == []
    assert [form for form in forms(address) if allows(CLOSED, form)] == []


def test_loopback_of_ipv6_is_like_that_of_ipv4():
    for address in ("::1", "::"):
        assert allows(OPEN, address)
        assert not allows(CLOSED, address)


def test_the_narrowest_network_decides_and_a_denial_wins_a_tie():
    reach = Reach(
        read_networks(["10.1.0.0/16", "127.0.0.1", "192.0.2.0/24"], "k"),
        read_networks(["10.0.0.0/8", "10.1.2.3", "192.0.2.0/24"], "k"),
    )
    assert {a: allows(reach, a) for a in ("10.1.0.1", "10.2.0.1", "10.1.2.3", "127.0.0.1", "127.0.0.2")} == {
        "10.1.0.1": True,
        "10.2.0.1": False,
        "10.1.2.3": False,
        "127.0.0.1": True,
        "127.0.0.2": False,
    }
    assert not allows(reach, "192.0.2.1")


@given(v4)
def test_no_form_reaches_what_its_plain_address_may_not(address):
    reach = Reach((), read_networks(["10.0.0.0/8", "128.0.0.0/1"], "k"))
    if not allows(reach, address):
        assert [form for form in forms(address) if allows(reach, form)] == []


def test_the_refusal_names_the_setting_that_would_allow_it():
    with pytest.raises(AddressRefused) as refused:
        CLOSED.require("127.0.0.1")
    assert refused.value.reason == "127.0.0.1 belongs to the node itself, whose services jobs may not reach"
    assert "InputSources.AllowedNetworks" in refused.value.hint


def test_what_is_not_a_network_is_refused_with_its_key():
    with pytest.raises(BadRequest, match=r"InputSources.DeniedNetworks: '10/8x' is not a network"):
        read_networks(["10/8x"], "InputSources.DeniedNetworks")
