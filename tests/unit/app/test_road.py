"""Addresses of message servers, refused before anybody tries them for ever."""

import pytest

from bacalhau.app.bus_address import bus_address_of
from bacalhau.config.schema import Compute
from bacalhau.lib.errors import BadRequest


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("foo://x", "begins with foo://, which is no way to a message server"),
        ("http://h:4222", "begins with http://, which is no way to a message server"),
        ("nats://", "names no host"),
        ("nats://h:port", "cannot be read: port could not be cast to integer value as 'port'"),
        ("h:99999", "cannot be read: port out of range 0-65535"),
        ("nats://[::1", "cannot be read: invalid ipv6 url"),
    ],
)
def test_what_is_no_address(url, why):
    with pytest.raises(BadRequest) as refused:
        bus_address_of(Compute(orchestrators=("nats://good:4222", url)))
    assert (refused.value.message, refused.value.hint) == (
        f"Compute.Orchestrators: '{url}' {why}",
        "name the message server to join, nats://HOST:PORT",
    )


def test_addresses():
    assert (
        bus_address_of(Compute(orchestrators=("nats://a:4222", " b:1 ", "c", "tls://[::1]:5", ""))).urls
        == "nats://a:4222,b:1,c,tls://[::1]:5"
    )
