"""The settings of containers: what jobs may ask for, and what is told when a setting is wrong."""

import json

import pytest
from hypothesis import given

from bacalhau.app.admission import port_pool
from bacalhau.config.load import load_config
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.job.network import NetworkConfig, NetworkType, PortMapping
from bacalhau.plugins.docker.isolation import Facts, read_isolation
from bacalhau.plugins.docker.rules import read_rules
from tests.unit.plugins.docker.test_reference import HOST, PATH, SUFFIX


def settings(*texts):
    return load_config([f"Engines.Types.Docker.{text}" for text in texts], {}, {}).engines.types.docker


def objections(*texts, image="alpine", is_own=True, **network):
    return read_rules(settings(*texts), is_own=is_own).list_objections(image, NetworkConfig(**network))


@pytest.mark.parametrize(
    ("patterns", "image", "allowed"),
    [
        ("docker.io", "alpine", True),
        ("docker.io", "acme/tool:1", True),
        ("docker.io", "ghcr.io/acme/tool", False),
        ("docker.io/library/*", "alpine:3", True),
        ("docker.io/library/*", "acme/tool", False),
        ("docker.io/alpine", "alpine@sha256:" + "0" * 64, True),
        ("index.docker.io/alpine", "docker.io/library/alpine", True),
        ("ghcr.io/acme/*", "ghcr.io/acme/a:1", True),
        ("ghcr.io/acme/*", "ghcr.io/acme/a/b:1", False),
        ("ghcr.io/acme/**", "ghcr.io/acme/a/b:1", True),
        ("ghcr.io/", "ghcr.io/acme/a/b:1", True),
        ("ghcr.io/acme/*", "ghcr.io/acme-evil/a", False),
        ("ghcr.io/acme/*", "ghcr.io.evil.example/acme/a", False),
        ("*.example.org", "a.example.org/x", True),
        ("*.example.org", "evil.io/a.example.org/x", False),
        ("*.example.org/team/*", "evil.io/x.example.org/team/y", False),
        ("GHCR.io", "ghcr.io/a", True),
        ("127.0.0.1:*", "127.0.0.1:5000/a", True),
        ('["[fd00::1]:5000"]', "[fd00::1]:5000/a", True),
        ("localhost,quay.io", "quay.io/a/b", True),
        ("*", "anything.example/at/all", True),
    ],
)
def test_allowed_registries(patterns, image, allowed):
    found = objections(f"AllowedRegistries={patterns}", image=image)
    assert (found == []) == allowed
    if not allowed:
        assert f"does not run image {image} (of " in found[0]
        assert "Engines.Types.Docker.AllowedRegistries allows " in found[0]


@given(HOST, PATH, SUFFIX)
def test_an_image_is_allowed_by_its_own_registry_and_name_and_by_no_other(host, path, suffix):
    image = f"{host}/{path}{suffix}"
    for pattern, allowed in ((host, True), (f"{host}/{path}", True), (f"{host}/{path}/more", False), ("q.io", False)):
        assert (objections(f"AllowedRegistries={json.dumps([pattern])}", image=image) == []) == allowed


def test_an_image_that_is_found_by_its_id_is_not_the_one_that_the_name_promises():
    rules = read_rules(settings("AllowedRegistries=docker.io"), is_own=True)
    found = {"RepoTags": ["ghcr.io/acme/secret:1"], "RepoDigests": []}
    assert rules.list_objections("3bfa12", NetworkConfig()) == []
    assert "only by its id" in rules.disguise("3bfa12", found)
    assert "only by its id" in rules.disguise("sha256:3bfa", found)
    assert not rules.disguise("alpine:3", {"RepoTags": ["alpine:3"]})
    assert not rules.disguise("docker.io/alpine", {"RepoTags": None, "RepoDigests": ["alpine@sha256:0"]})
    assert not read_rules(settings(), is_own=True).disguise("3bfa12", found)


@pytest.mark.parametrize("kind", ["", "Default", "None", "HTTP", "Bridge", "Host", "Full"])
def test_networks(kind):
    is_host = kind in ("Host", "Full")
    assert objections(type=kind) == []
    told = "does not give network Host, because others reach this node: Engines.Types.Docker.Networks can list it"
    assert objections(type=kind, is_own=False) == ([told] if is_host else [])
    assert objections("Networks=none,http,bridge,host", type=kind, is_own=False) == []
    told = "does not give network Host: Engines.Types.Docker.Networks allows None, Bridge, HTTP"
    assert objections("Networks=None,Bridge,HTTP", type=kind) == ([told] if is_host else [])


def test_a_job_that_leaves_the_network_open_gets_one_that_the_node_gives():
    def settled(networks):
        return read_rules(settings(f"Networks={networks}"), is_own=True).settle(NetworkConfig()).kind()

    assert settled("Bridge,None") == NetworkType.DEFAULT
    assert settled("HTTP,None") == NetworkType.NONE
    assert objections("Networks=HTTP,None") == []
    assert objections("Networks=HTTP") == ["does not give network None: Engines.Types.Docker.Networks allows HTTP"]


WEB = (PortMapping(name="web", static=8080),)
ELSEWHERE = (PortMapping(name="web", static=8080, host_network="192.0.2.7"),)


@pytest.mark.parametrize(
    ("value", "ports", "told"),
    [
        ("", WEB, ""),
        ("", ELSEWHERE, ""),
        ("none", WEB, "gives jobs no ports of this node: Engines.Types.Docker.HostPorts is none"),
        ("none", (), ""),
        ("192.0.2.7", ELSEWHERE, ""),
        ("0.0.0.0", ELSEWHERE, ""),
        ("127.0.0.1", WEB, ""),
        (
            "127.0.0.1",
            ELSEWHERE,
            "does not bind port web to 192.0.2.7: Engines.Types.Docker.HostPorts is 127.0.0.1",
        ),
    ],
)
def test_host_ports(value, ports, told):
    assert objections(f"HostPorts={value}", type="Bridge", ports=ports) == ([told] if told else [])


@pytest.mark.parametrize(
    ("texts", "is_own", "bound"),
    [
        ((), True, "127.0.0.1"),
        ((), False, ""),
        (("Compute.Network.AdvertisedAddress=192.0.2.7",), True, ""),
        (("Compute.Network.AdvertisedAddress=localhost",), True, "127.0.0.1"),
        (("Engines.Types.Docker.HostPorts=192.0.2.7",), True, "192.0.2.7"),
        (("Engines.Types.Docker.HostPorts=[fd00::1]",), False, "fd00::1"),
        (("Engines.Types.Docker.HostPorts=0.0.0.0",), True, "0.0.0.0"),
    ],
)
def test_ports_are_bound_to_loopback_where_nobody_else_can_come(texts, is_own, bound):
    pool = port_pool(load_config(list(texts), {}, {}), is_own=is_own)
    pool._is_free = lambda *_: True
    bridge, host = NetworkConfig(type="Bridge", ports=WEB), NetworkConfig(type="Host", ports=(PortMapping(name="web"),))
    assert pool.reserve("e-1", bridge)[0].host_network == bound
    assert pool.reserve("e-2", host)[0].host_network == ""
    named = NetworkConfig(type="Bridge", ports=(PortMapping(name="web", host_network="192.0.2.9"),))
    assert pool.reserve("e-3", named)[0].host_network == "192.0.2.9"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AllowedRegistries=alpine", "Engines.Types.Docker.AllowedRegistries: 'alpine' is not a pattern of images"),
        ("AllowedRegistries=https://ghcr.io", "Engines.Types.Docker.AllowedRegistries: 'https://ghcr.io' is not"),
        ("AllowedRegistries=ghcr.io/a:1", "Engines.Types.Docker.AllowedRegistries: 'ghcr.io/a:1' is not"),
        ("AllowedRegistries=ghcr.io/" + "a" * 300, "Engines.Types.Docker.AllowedRegistries: 'ghcr.io/aaaa"),
        ("HostPorts=eth0", "Engines.Types.Docker.HostPorts: 'eth0' is not an address"),
        ("CapDrop=NET_RAW,SUDO", "Engines.Types.Docker.CapDrop: 'SUDO' is not a capability"),
        (
            "Networks=Bridge,LAN",
            'config key: "Engines.Types.Docker.Networks" expects a list of None, HTTP, Bridge, Host, received:'
            ' "Bridge,LAN" (from -c)',
        ),
        (
            "UsernsMode=private",
            'config key: "Engines.Types.Docker.UsernsMode" expects one of "", host, auto, keep-id, nomap, received:'
            ' "private" (from -c)',
        ),
    ],
)
def test_a_wrong_setting_is_told_with_key_value_and_cure(text, message):
    with pytest.raises(BadRequest) as caught:
        read_isolation(settings(text))
        read_rules(settings(text), is_own=True)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_capabilities_in_any_spelling():
    assert read_isolation(settings("CapDrop=cap_net_raw,all")).cap_drop == ("NET_RAW", "ALL")
    assert read_isolation(settings("CapDrop=")).cap_drop == ()
    assert settings('Networks=["none", "hTTp"]').networks == ("None", "HTTP")


def test_what_the_daemon_lacks_is_told_with_what_it_has():
    wanted = read_isolation(settings("Runtime=runsc"))
    with pytest.raises(
        Unavailable, match=r"Engines.Types.Docker.Runtime is runsc, which the Docker daemon does not"
    ) as e:
        wanted.require(Facts(("io.containerd.runc.v2", "runc")))
    assert e.value.hint.startswith("it knows io.containerd.runc.v2, runc;")
    wanted.require(Facts(("runc", "runsc")))
    remapped = read_isolation(settings("UsernsMode=auto"))
    remapped.require(Facts(is_podman=True))
    with pytest.raises(Unavailable, match=r"Engines.Types.Docker.UsernsMode is auto, which is Podman's"):
        remapped.require(Facts())
