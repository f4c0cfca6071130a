"""The whole system in one process, for trying and for tests: an orchestrator, some compute nodes, and S3 if wanted."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from bacalhau.app.build import compute_node
from bacalhau.app.identity import load_identity
from bacalhau.app.objectstore import ObjectStore, object_store
from bacalhau.app.sample import SAMPLE_BUCKET, put_sample
from bacalhau.app.serve import Served, serve
from bacalhau.compute.core import ComputeNode
from bacalhau.compute.messages.inbox import cancel
from bacalhau.config.plugins import Publishers
from bacalhau.config.schema import Compute, Config

STOP_LIMIT = 20.0  # seconds that running containers get at the end


class Devstack(NamedTuple):
    """`environment` is what a client needs; `s3` is None without an S3 server."""

    served: Served
    nodes: tuple[ComputeNode, ...]
    s3: ObjectStore | None
    environment: dict[str, str]


@asynccontextmanager
async def devstack(config: Config, folder: Path, computes: int, *, with_s3: bool) -> AsyncIterator[Devstack]:
    """Everything below `folder`. Containers that still run are stopped at the end."""
    async with AsyncExitStack() as stack:
        s3 = await stack.enter_async_context(_sample_store(folder / "s3")) if with_s3 else None
        own = msgspec.structs.replace(
            config,
            data_dir=str(folder / "orchestrator"),
            orchestrator=msgspec.structs.replace(config.orchestrator, enabled=True),
            compute=msgspec.structs.replace(config.compute, enabled=False),
        )
        served = await stack.enter_async_context(serve(own))
        nodes = []
        for number in range(computes):
            data = folder / f"node-{number}"
            mine = msgspec.structs.replace(
                config,
                data_dir=str(data),
                publishers=_own_results(config.publishers, number),
                compute=_own_cache(config.compute, number),
            )
            content = served.orchestrator.content if served.orchestrator else None
            nodes.append(
                await stack.enter_async_context(compute_node(mine, load_identity(data), served.bus_address, content))
            )
        environment = {"BACALHAU_API_HOST": config.api.host, "BACALHAU_API_PORT": served.api_url.rpartition(":")[2]}
        if s3:
            environment["AWS_ENDPOINT_URL_S3"] = s3.url
        try:
            yield Devstack(served, tuple(nodes), s3, environment)
        finally:
            await _stop_all(nodes)


def _own_results(publishers: Publishers, number: int) -> Publishers:
    """Each node serves its local results at a port of its own: the configured one and those after it."""
    local = msgspec.structs.replace(publishers.types.local, port=publishers.types.local.port + number)
    return msgspec.structs.replace(publishers, types=msgspec.structs.replace(publishers.types, local=local))


def _own_cache(compute: Compute, number: int) -> Compute:
    """Each node keeps its inputs in a folder of its own below the configured one."""
    path = compute.cache.path and str(Path(compute.cache.path) / f"node-{number}")
    return msgspec.structs.replace(compute, cache=msgspec.structs.replace(compute.cache, path=path))


async def _stop_all(nodes: Sequence[ComputeNode]) -> None:
    for node in nodes:
        for execution_id in tuple(node.running):
            await cancel(node, execution_id)
    try:
        async with asyncio.timeout(STOP_LIMIT):
            for node in nodes:
                while node.running:
                    await node.ended.wait(STOP_LIMIT)
    except TimeoutError:
        return


@asynccontextmanager
async def _sample_store(folder: Path) -> AsyncIterator[ObjectStore]:
    """An S3 server that this process's nodes use by their environment; the public bucket can be read by anybody."""
    folder.mkdir(parents=True, exist_ok=True)
    access_key, secret_key = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    async with object_store(
        folder, access_key=access_key, secret_key=secret_key, public_buckets=(SAMPLE_BUCKET,)
    ) as store:
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_REGION": os.environ.get("AWS_REGION", "us-east-1"),
        }
        await put_sample(store, folder / "sample")
        yield store
