"""One process of the system: orchestrator, compute node, or both, opened in order and closed backwards.

The API's app takes half a second to build. A thread does it, so that the message server's pings are answered meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from bacalhau.api.app import check_access, make_app, make_node_app, serve_http, serve_on
from bacalhau.app.api_port import node_listener
from bacalhau.app.build import compute_node, content_store, orchestrator
from bacalhau.app.bus_address import BusAddress, bus_address_of
from bacalhau.app.identity import Identity, load_identity, new_name
from bacalhau.app.plugins import log_faults
from bacalhau.app.start_lines import find_open_api, find_open_server, start_line
from bacalhau.app.tls import server_tls
from bacalhau.compute.core import ComputeNode
from bacalhau.config.foreign import refuse_state_of_original
from bacalhau.config.schema import Config
from bacalhau.lib.network import bare_host
from bacalhau.orchestrator.core import Orchestrator

log = logging.getLogger(__name__)


class Served(NamedTuple):
    """The parts that run in this process. `nats_url` is where this machine's node joins, and others may."""

    api_url: str
    nats_url: str
    orchestrator: Orchestrator | None
    node: ComputeNode | None
    bus_address: BusAddress


@asynccontextmanager
async def serve(
    config: Config, name: str = "", keys: frozenset[str] = frozenset(), files: Sequence[Path] = ()
) -> AsyncIterator[Served]:
    """The roles that the configuration enables, until the block ends. Neither enabled means the orchestrator.

    `keys` are the settings that somebody has set, `files` where some of them stand.
    """
    data = Path(config.data_dir)
    refuse_state_of_original(data)
    check_access(config.api)
    log_faults()
    who = load_identity(data, name or new_name(config.name_provider))
    if name and name != who.id:
        log.warning("--name %s is not used: %s is the data directory of node %s", name, data, who.id)
    log.info("%s", start_line(config, who.id, files))
    async with AsyncExitStack() as stack:
        if config.compute.enabled and not config.orchestrator.enabled:
            yield await _serve_node(stack, config, who, is_port_set="API.Port" in keys)
        else:
            yield await _serve_orchestrator(stack, config, who)


async def _serve_orchestrator(stack: AsyncExitStack, config: Config, who: Identity) -> Served:
    """Open an orchestrator, with a node where one is enabled too, and then its API."""
    data, is_compute = Path(config.data_dir), config.compute.enabled
    content = content_store(config)
    orch, address = await stack.enter_async_context(orchestrator(config, who, content, alone=not is_compute))
    node = await stack.enter_async_context(compute_node(config, who, address, content)) if is_compute else None
    tls = server_tls(config.api.tls, data / "orchestrator")
    app = await asyncio.to_thread(make_app, orch, config, node)
    api_url = await stack.enter_async_context(serve_http(app, config.api.host, config.api.port, tls))
    stack.enter_context(_run_file(data, config))
    for exposure in (find_open_api(config), find_open_server(config)):
        if exposure:
            log.warning("%s", exposure.warning)
    return Served(api_url, address.urls, orch, node, address)


async def _serve_node(stack: AsyncExitStack, config: Config, who: Identity, *, is_port_set: bool) -> Served:
    """Open a node that only runs jobs. Its port is taken first, so that nothing begins where that is in use."""
    address = bus_address_of(config.compute)
    tls = server_tls(config.api.tls, Path(config.data_dir) / "compute")
    listener = stack.enter_context(node_listener(config.api, address.urls, is_set=is_port_set))
    node = await stack.enter_async_context(compute_node(config, who, address, None))
    api = msgspec.structs.replace(config.api, port=listener.getsockname()[1])
    app = await asyncio.to_thread(make_node_app, node, address.urls, msgspec.structs.replace(config, api=api))
    api_url = await stack.enter_async_context(serve_on(app, listener, tls))
    return Served(api_url, address.urls, None, node, address)


@contextmanager
def _run_file(data: Path, config: Config) -> Iterator[None]:
    """`bacalhau.run`: the environment that points a client here, for `source`."""
    bare = bare_host(config.api.host)
    host = "127.0.0.1" if bare in ("0.0.0.0", "::") else bare
    path = data / "bacalhau.run"
    path.write_text(f"export BACALHAU_API_HOST={host}\nexport BACALHAU_API_PORT={config.api.port}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
