"""One process of the system: orchestrator, compute node, or both, opened in order and closed backwards."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from bacalhau.api.app import make_app, serve_http
from bacalhau.app.build import compute_node, content_store, orchestrator
from bacalhau.app.bus_address import BusAddress, bus_address_of
from bacalhau.app.identity import load_identity, new_name
from bacalhau.app.plugins import log_faults
from bacalhau.app.tls import server_tls
from bacalhau.compute.core import ComputeNode
from bacalhau.config.schema import Config
from bacalhau.orchestrator.core import Orchestrator

log = logging.getLogger(__name__)


class Served(NamedTuple):
    """The parts that run in this process. `api_url` and `nats_url` are "" without an orchestrator."""

    api_url: str
    nats_url: str
    orchestrator: Orchestrator | None
    node: ComputeNode | None
    bus_address: BusAddress


@asynccontextmanager
async def serve(config: Config, name: str = "") -> AsyncIterator[Served]:
    """The roles that the configuration enables, until the block ends. Neither enabled means the orchestrator."""
    data = Path(config.data_dir)
    log_faults()
    who = load_identity(data, name or new_name(config.name_provider))
    if name and name != who.id:
        log.warning("--name %s is not used: %s is the data directory of node %s", name, data, who.id)
    is_compute = config.compute.enabled
    is_orchestrator = config.orchestrator.enabled or not is_compute
    async with AsyncExitStack() as stack:
        content = content_store(data) if is_orchestrator else None
        orch, bus_address, api_url = None, BusAddress(), ""
        if content is None:
            bus_address = bus_address_of(config.compute)
        else:
            orch, bus_address = await stack.enter_async_context(
                orchestrator(config, who, content, alone=not is_compute)
            )
        node = await stack.enter_async_context(compute_node(config, who, bus_address, content)) if is_compute else None
        if orch is not None:
            tls = server_tls(config.api.tls, data / "orchestrator")
            api_url = await stack.enter_async_context(
                serve_http(make_app(orch, config), config.api.host, config.api.port, tls)
            )
            stack.enter_context(_run_file(data, config))
        yield Served(api_url, bus_address.urls, orch, node, bus_address)


@contextmanager
def _run_file(data: Path, config: Config) -> Iterator[None]:
    """`bacalhau.run`: the environment that points a client here, for `source`."""
    host = "127.0.0.1" if config.api.host in ("0.0.0.0", "::") else config.api.host
    path = data / "bacalhau.run"
    path.write_text(f"export BACALHAU_API_HOST={host}\nexport BACALHAU_API_PORT={config.api.port}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
