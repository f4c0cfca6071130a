"""TLS between nodes and orchestrator, set up by configuration: who trusts joins, who does not says why."""

import asyncio

import pytest

from bacalhau.app.bus_address import BusAddress, bus_address_of, server_tls, trusting
from bacalhau.bus.node import node_bus
from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.server import nats_server
from bacalhau.config.schema import Compute, NodeTLS, ServerTLS
from bacalhau.lib.errors import BadRequest, Unavailable
from tests.contract.test_bus_server import certificate


def a_compute(url, **tls):
    return Compute(orchestrators=(url,), tls=NodeTLS(**tls))


async def join(bus_address: BusAddress):
    async with node_bus(bus_address.urls, "n", "secret", tls=bus_address.tls) as node:
        await node.connected(10)


async def refusal(bus_address: BusAddress) -> str:
    """Why the first attempt failed, as soon as it has."""
    async with node_bus(bus_address.urls, "n", "secret", tls=bus_address.tls) as node:
        for _ in range(50):
            with pytest.raises(Unavailable) as reason:
                await node.connected(0.2)
            if not reason.value.message.endswith("yet"):
                return reason.value.message
    raise AssertionError("neither connected nor refused")


async def allow(node_id: str, secret: str, token: str) -> bool:
    return True


@pytest.fixture
async def secure(tmp_path):
    made = certificate(tmp_path)
    tls = server_tls(ServerTLS(server_cert=str(made.cert), server_key=str(made.key)))
    async with nats_server(tmp_path, "127.0.0.1", 0, tls) as server, orchestrator_bus(server.url, server.access, allow):
        yield server.url, str(made.cert)


async def test_who_trusts_the_certificate_joins(secure):
    url, cert = secure
    await join(bus_address_of(a_compute(url, ca_cert=cert)))
    await join(bus_address_of(a_compute(url, ca_cert=cert, require_tls=True)))


async def test_who_does_not_trust_it_stays_out(secure):
    assert "certificate verify failed" in await refusal(bus_address_of(a_compute(secure[0])))


async def test_who_insists_says_nothing_to_a_server_without(tmp_path):
    heard = []

    async def listen(reader, writer):
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}\r\n')
        while data := await reader.read(1000):
            heard.append(data)
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert "does not use TLS, but Compute.TLS.RequireTLS asks for it" in await refusal(
            bus_address_of(a_compute(url, require_tls=True))
        )
    assert heard == []


def test_what_cannot_be_right_is_refused_by_name(tmp_path):
    for wanted in (
        ServerTLS(server_cert="a.pem"),
        ServerTLS(server_key="k.pem"),
        ServerTLS(server_cert="/no.pem", server_key="/no.key"),
    ):
        with pytest.raises(BadRequest, match=r"Orchestrator\.TLS\.ServerCert"):
            server_tls(wanted)
    (tmp_path / "no.pem").write_text("no certificate")
    for name in ("no.pem", "missing.pem"):
        with pytest.raises(BadRequest, match=r"Compute\.TLS\.CACert: .*\.pem"):
            trusting(str(tmp_path / name), "Compute.TLS.CACert")
    with pytest.raises(BadRequest, match=r"Compute\.Orchestrators is empty"):
        bus_address_of(Compute(orchestrators=(" ",)))


def test_several_addresses_are_tried_in_turn():
    assert (
        bus_address_of(Compute(orchestrators=("nats://a:1", "b:2"), tls=NodeTLS(require_tls=True))).urls
        == "tls://a:1,tls://b:2"
    )
    assert server_tls(ServerTLS()) is None and trusting("", "x") is None
