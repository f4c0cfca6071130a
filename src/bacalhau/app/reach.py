"""The addresses that jobs of a node may reach, from its configuration.

Loopback and the node's own addresses are open while this is one person's machine: everything that this system listens
on is on loopback, and its orchestrator is here. Then a job can do there only what its author can do anyway.
"""

from urllib.parse import urlsplit

from bacalhau.app.bus_address import hosts_of
from bacalhau.border.addresses import Reach, is_loopback, read_networks
from bacalhau.config.schema import Config


def node_reach(config: Config) -> Reach:
    """Make the rule of a node. Raises BadRequest naming the key of a text that is no network."""
    inputs = config.input_sources
    return Reach(
        read_networks(inputs.allowed_networks, "InputSources.AllowedNetworks"),
        read_networks(inputs.denied_networks, "InputSources.DeniedNetworks"),
        own=all(is_loopback(host) for host in _hosts(config)),
    )


def _hosts(config: Config) -> list[str]:
    """List the hosts that this process listens on or belongs to."""
    hosts = [urlsplit(config.api.host).hostname or config.api.host, config.publishers.types.local.address]
    if config.orchestrator.enabled:
        hosts += [config.orchestrator.host, *hosts_of(config.orchestrator.nats.url)]
    else:
        hosts += [host for url in config.compute.orchestrators for host in hosts_of(url)]
    return hosts
