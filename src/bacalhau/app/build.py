"""The composition root: the one place that names adapters and hands them to the orchestrator and the node."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from bacalhau.app.admission import node_admission, port_pool, task_address
from bacalhau.app.bus_address import BusAddress, server_tls, trusting
from bacalhau.app.cache import open_cache
from bacalhau.app.folders import make_private
from bacalhau.app.identity import Identity
from bacalhau.app.offer import offered_capacity, offered_executions
from bacalhau.app.plugins import node_plugins, orchestrator_plugins
from bacalhau.app.quotas import read_quotas
from bacalhau.app.reach import node_reach
from bacalhau.app.sizes import output_limit, read_size
from bacalhau.bus.node import node_bus
from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.server import Access, nats_server
from bacalhau.bus.shortcut import Shortcut
from bacalhau.compute.core import ComputeNode
from bacalhau.compute.machine.fingerprint import machine_labels
from bacalhau.compute.machine.gpus import detect_gpus
from bacalhau.compute.machine.resources import detect_resources
from bacalhau.compute.remote.content import RemoteContent
from bacalhau.compute.remote.managed import ask_input_link, ask_upload_link
from bacalhau.compute.run import run_node
from bacalhau.compute.state.capacity import Capacity
from bacalhau.compute.state.prefetches import Prefetches
from bacalhau.compute.state.printed import Shipping
from bacalhau.config.job_defaults import job_defaults
from bacalhau.config.schema import Config
from bacalhau.config.schema import Retention as RetentionConfig
from bacalhau.lib.aio import crew
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.validate import fill_defaults
from bacalhau.models.node.node import APPROVED, CONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.models.node.version import this_version
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.messages.inbox import on_progress
from bacalhau.orchestrator.run import run_orchestrator
from bacalhau.orchestrator.scheduling.quotas import Quotas
from bacalhau.orchestrator.scheduling.shares import Shares
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.limits import Retention
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.ports.content import ContentStore, OwnContent
from bacalhau.ports.logs import Quota
from bacalhau.ports.plugin import Setting, publisher_patience
from bacalhau.store.journal import NodeJournal
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore

SECOND_NS = 1_000_000_000
BEATS_TO_REJOIN = 2 / 4  # of the disconnect timeout, which is four heartbeats: who hears no hello comes with the next


def content_store(config: Config) -> BlockStore:
    """Open the content store of an orchestrator. Raises BadRequest for a limit that is no amount of bytes."""
    most = read_size("Orchestrator.Retention.ContentMaxTotal", config.orchestrator.retention.content_max_total)
    return BlockStore(Path(config.data_dir) / "orchestrator" / "content", most)


@asynccontextmanager
async def orchestrator(
    config: Config, who: Identity, content: OwnContent, *, alone: bool
) -> AsyncIterator[tuple[Orchestrator, BusAddress]]:
    """The orchestrator and the way of this machine's nodes to it. `alone`: this process is no compute node itself."""
    data = Path(config.data_dir)
    make_private(data / "orchestrator")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore(data / "orchestrator" / "state.db"))
        manager = config.orchestrator.node_manager
        gate = Gate(store, config.orchestrator.auth.token, manual=manager.manual_approval)
        url, access = await _message_server(stack, config, data)
        shortcut = Shortcut()
        bus = await stack.enter_async_context(orchestrator_bus(url, access, gate.authorize, shortcut=shortcut))
        book = _logs(config, data)
        own = orchestrator_plugins(config)
        orch = Orchestrator(
            node_id=who.id,
            store=store,
            bus=bus,
            content=content,
            checks=own.checks,
            fill_defaults=_defaults(config),
            presign=own.presign,
            sign_links=own.sign_links,
            sign_upload=own.sign_upload,
            sign_input=own.sign_input,
            cluster=_cluster(config),
            rejoin_ns=0 if bus.presence else int(manager.disconnect_timeout * BEATS_TO_REJOIN * SECOND_NS),
            ageing_ns=int(config.orchestrator.scheduler.ageing * SECOND_NS),
            silence_ns=int(manager.disconnect_timeout * SECOND_NS),
            gate=gate,
            retention=_retention(config.orchestrator.retention, manager.forget_after),
            logs=book,
            on_forgotten=book.forget,
        )
        bus.on_progress = partial(on_progress, orch)
        bus.set_aside = store.put_dead_letter
        if alone:
            orch.cluster.put(_requester(who, config.labels), 0)
        await stack.enter_async_context(run_orchestrator(orch))
        yield orch, BusAddress(url, access.tls, shortcut)


def _cluster(config: Config) -> Cluster:
    manager, scheduler = config.orchestrator.node_manager, config.orchestrator.scheduler
    longest = max(manager.lost_grace, manager.disconnect_timeout)
    return Cluster(
        int(manager.lost_grace * SECOND_NS),
        int(longest * SECOND_NS),
        pack=scheduler.placement == "pack",
        quotas=Quotas(read_quotas(scheduler.quotas)),
        shares=Shares(scheduler.fair.weights),
    )


async def _message_server(stack: AsyncExitStack, config: Config, data: Path) -> tuple[str, Access]:
    if config.orchestrator.nats.url:
        return config.orchestrator.nats.url, Access(
            tls=trusting(config.orchestrator.tls.ca_cert, "Orchestrator.TLS.CACert")
        )
    own, ping_timeout = config.orchestrator, config.orchestrator.node_manager.ping_timeout
    folder, tls = data / "orchestrator" / "nats", await asyncio.to_thread(server_tls, own.tls)
    server = await stack.enter_async_context(nats_server(folder, own.host, own.port, tls, ping_timeout=ping_timeout))
    return server.url, server.access


def _retention(wanted: RetentionConfig, nodes_age: float) -> Retention:
    return Retention(
        jobs_age=wanted.jobs_max_age,
        jobs_count=wanted.jobs_max_count,
        dead_letters_count=wanted.dead_letters_max_count,
        content_age=wanted.content_max_age,
        executions_age=wanted.executions_max_age,
        executions_count=wanted.executions_max_count,
        history_count=wanted.history_max_count,
        versions_count=wanted.versions_max_count,
        undelivered_age=wanted.undelivered_max_age,
        nodes_age=nodes_age,
    )


def _logs(config: Config, data: Path) -> LogBook:
    logs = config.orchestrator.logs
    one, all_ = (
        read_size(f"Orchestrator.Logs.{key}", text)
        for key, text in (("MaxPerExecution", logs.max_per_execution), ("MaxTotal", logs.max_total))
    )
    quota = Quota(one, all_, logs.max_age)
    return LogBook(FileLogs(data / "orchestrator" / "logs", quota), quota.one)


def _defaults(config: Config) -> Callable[[Job], Job]:
    defaults = job_defaults(config)
    return lambda job: fill_defaults(job, defaults)


def _requester(who: Identity, labels: Mapping[str, str]) -> NodeState:
    own = machine_labels(who.id) | dict(labels)
    info = NodeInfo(
        node_id=who.id, node_type="Requester", labels=own, compute_node_info=None, bacalhau_version=this_version()
    )
    return NodeState(
        info=info, membership=APPROVED, connection=CONNECTED, connection_state=ConnectionState(status=CONNECTED)
    )


@asynccontextmanager
async def compute_node(
    config: Config, who: Identity, bus_address: BusAddress, content: ContentStore | None
) -> AsyncIterator[ComputeNode]:
    """Run a node that serves the orchestrator at `bus_address`; `content` is given where both share a process."""
    data = make_private(Path(config.data_dir) / "compute")
    make_private(data / "executions")
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(NodeJournal(data / "journal.db"))
        bus = await stack.enter_async_context(
            node_bus(
                bus_address.urls,
                who.id,
                who.secret,
                config.compute.auth.token,
                tls=bus_address.tls,
                shortcut=bus_address.shortcut,
            )
        )
        gpus, gpu_problems = await detect_gpus()
        cache = await open_cache(stack, config.compute.cache, data)
        found = detect_resources(data)
        disk = found.disk + (cache.held_at(data) if cache else 0)
        there = msgspec.structs.replace(found, disk=disk, gpu=len(gpus), gpus=gpus)
        reach = node_reach(config)
        links = partial(ask_upload_link, bus), partial(ask_input_link, bus)
        plugins = await node_plugins(stack, Setting(content or RemoteContent(bus), config, *links, reach))
        node = ComputeNode(
            node_id=who.id,
            folder=data / "executions",
            journal=journal,
            bus=bus,
            plugins=plugins,
            capacity=_capacity(config, there),
            crew=await stack.enter_async_context(crew()),
            admission=node_admission(config.job_admission_control, config.compute),
            pool=port_pool(config, is_own=reach.own),
            address=task_address(config.compute),
            labels=config.labels,
            gpu_problems=gpu_problems,
            heartbeat=config.compute.heartbeat.interval,
            keep_seconds=config.compute.retention.max_age,
            max_interruptions=config.compute.max_interruptions,
            keep_records=config.compute.retention.max_count,
            keep_unpublished=config.compute.retention.unpublished,
            info_interval=config.compute.heartbeat.info_update_interval,
            read_timeout=config.input_sources.read_timeout,
            patience=publisher_patience(config),
            task_disk=read_size("Compute.TaskDisk", config.compute.task_disk) or shutil.disk_usage(data).total,
            shipping=Shipping(kept=output_limit(config.compute.logs)),
            cache=cache,
            prefetches=Prefetches(is_on=config.compute.cache.prefetch),
        )
        await stack.enter_async_context(run_node(node))
        yield node


def _capacity(config: Config, there: Resources) -> Capacity:
    wanted = config.compute.allocated_capacity
    offered = offered_capacity(there, wanted)
    return Capacity(offered, offered_executions(offered, wanted))
