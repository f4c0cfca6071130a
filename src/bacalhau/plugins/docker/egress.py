"""Network HTTP: one network a node that leads nowhere, whose containers do not see each other, with a proxy at the
host's end of it.
"""

import asyncio
import errno
import ipaddress
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from bacalhau.border.addresses import LOOPBACK, Reach
from bacalhau.lib.errors import BacalhauError, EngineFailure
from bacalhau.lib.ports import free_ports
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import DOMAINS_LABEL, EXECUTOR_LABEL, JOB_LABEL, Detour
from bacalhau.plugins.docker.proxy import Guest, proxy

PORT_LABEL = "bacalhau-proxy-port"
log = logging.getLogger(__name__)


class Egress:
    """Opened by the first task that needs it, also for containers that an earlier process left running; `close` ends
    the proxy.
    """

    def __init__(self, api: DockerApi, reach: Reach) -> None:
        self._api = api
        # A domain that a job names may lead to this machine, whose services trust who comes from here.
        self._reach = replace(reach, denied=(*reach.denied, *LOOPBACK))
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._name = ""
        self._detour: Detour | None = None

    async def close(self) -> None:
        """The network goes with the last container on it."""
        await self._stack.aclose()
        if self._detour is not None:
            try:
                await self._api.remove_network(self._name)
            except BacalhauError as e:
                log.debug("network %s stays: %s", self._name, e.message)

    async def open(self, node_id: str) -> Detour:
        async with self._opening:
            if self._detour is None:
                self._detour = await self._open(node_id)
            return self._detour

    async def _open(self, node_id: str) -> Detour:
        if self._api.is_podman:
            raise EngineFailure(
                "network HTTP is not supported with Podman", hint="use network Bridge, Host or None", component="Docker"
            )
        self._name = f"bacalhau-http-{node_id}"
        found = await self._api.inspect_network(self._name)
        if found is None:
            await self._api.create_network(_network_config(self._name, node_id, free_ports(1, "0.0.0.0")[0]))
            found = await self._api.inspect_network(self._name) or {}
        address, port = str(found["IPAM"]["Config"][0]["Gateway"]), int(found["Labels"][PORT_LABEL])
        try:
            await self._stack.enter_async_context(proxy(address, port, self._find_guest, self._reach))
        except OSError as e:
            hint = (
                "the Docker daemon must run on the node's own machine"
                if e.errno == errno.EADDRNOTAVAIL
                else f"remove the network {self._name} when it is unused"
            )
            raise EngineFailure(
                f"the proxy of network HTTP cannot listen at {address}:{port}: {e.strerror or e}",
                hint=hint,
                component="Docker",
            ) from e
        return Detour(self._name, f"http://{address}:{port}")

    async def _find_guest(self, address: str) -> Guest | None:
        """Find the task behind an address, anew for every connection: a moment later it may be another task's."""
        try:
            network = await self._api.inspect_network(self._name) or {}
            for container_id, place in (network.get("Containers") or {}).items():
                if str(ipaddress.ip_interface(place["IPv4Address"]).ip) == address:
                    return _guest(await self._api.inspect(container_id))
        except BacalhauError as e:
            log.warning("who calls from %s was not found out: %s", address, e.message)
        return None


def _guest(container: dict[str, Any] | None) -> Guest | None:
    labels = (container or {}).get("Config", {}).get("Labels", {})
    domains = labels.get(DOMAINS_LABEL, "")
    return Guest(labels.get(JOB_LABEL, ""), tuple(domains.split(","))) if domains else None


def _network_config(name: str, node_id: str, port: int) -> dict[str, Any]:
    return {
        "Name": name,
        "Internal": True,
        "CheckDuplicate": True,
        "Options": {"com.docker.network.bridge.enable_icc": "false"},
        "Labels": {EXECUTOR_LABEL: node_id, PORT_LABEL: str(port)},
    }
