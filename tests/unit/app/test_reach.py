"""The rule of addresses that a node's configuration makes."""

import pytest

from bacalhau.app.reach import node_reach
from bacalhau.border.addresses import AddressRefused
from bacalhau.config.load import load_config
from bacalhau.lib.errors import BadRequest


def allows(address, *settings):
    reach = node_reach(load_config(["Compute.Enabled=true", *settings], {}, {}))
    try:
        reach.require(address)
    except AddressRefused:
        return False
    return True


HYBRID = ("Orchestrator.Enabled=true",)
LISTENING = [
    ("API.Host=0.0.0.0",),
    ("API.Host=192.0.2.7",),
    ("API.Host=http://0.0.0.0:1234",),
    ("Orchestrator.Enabled=true", "Orchestrator.Host=0.0.0.0"),
    ("Orchestrator.Enabled=true", "Orchestrator.NATS.URL=nats://127.0.0.1:4222,nats://192.0.2.7:4222"),
    ("Compute.Orchestrators=nats://192.0.2.7:4222",),
    ("Compute.Orchestrators=host.example",),
    ("Publishers.Types.Local.Address=192.0.2.7",),
]


def test_on_one_persons_machine_loopback_is_open():
    assert allows("127.0.0.1")
    assert allows("127.0.0.1", *HYBRID)
    assert allows("127.0.0.1", "Compute.Orchestrators=localhost:4222")


@pytest.mark.parametrize("settings", LISTENING, ids=" ".join)
def test_loopback_is_closed_as_soon_as_anything_listens_or_belongs_elsewhere(settings):
    assert not allows("127.0.0.1", *settings)
    assert not allows("::1", *settings)
    assert allows("192.0.2.9", *settings)
    assert allows("127.0.0.1", "InputSources.AllowedNetworks=127.0.0.0/8", *settings)


def test_metadata_is_never_open():
    assert not allows("169.254.169.254", "InputSources.AllowedNetworks=0.0.0.0/0,169.254.169.254", *HYBRID)


def test_what_is_no_network_names_its_key():
    with pytest.raises(BadRequest, match=r"InputSources.DeniedNetworks: 'ten' is not a network"):
        allows("127.0.0.1", "InputSources.DeniedNetworks=ten")
