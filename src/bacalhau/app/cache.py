"""The cache of inputs of a node, from the configuration. A node whose cache cannot be used runs without one."""

import asyncio
import logging
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from bacalhau.app.folders import make_private
from bacalhau.app.sizes import read_size
from bacalhau.compute.state.cache import InputCache
from bacalhau.compute.state.shelf import Shelf
from bacalhau.config.schema import Cache
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.units import show_bytes
from bacalhau.store.cache import SqliteCacheBooks

SHARE, MOST = 10, 100_000_000_000  # of the disk: a part of it, and bytes
_BOOKS = "cache.db"
log = logging.getLogger(__name__)


async def open_cache(stack: AsyncExitStack, config: Cache, data: Path) -> InputCache | None:
    """Open the cache of a node whose folder is `data`; None where it is off or cannot be used, with a warning.

    Raises BadRequest for a size that is none.
    """
    wanted = read_size("Compute.Cache.Size", config.size)
    folder = Path(config.path) if config.path else data / "cache"
    if config.size and not wanted and not (folder / _BOOKS).exists():
        return None
    try:
        make_private(folder)
        await asyncio.to_thread(Shelf(folder).prepare)
        books = await stack.enter_async_context(SqliteCacheBooks(folder / _BOOKS))
        cache = InputCache(folder, books, wanted)
        await cache.open()
    except OSError as e:
        _warn(folder, e.strerror or str(e), "make it a folder in which this user may write, on a disk with hard links")
        return None
    except BacalhauError as e:
        _warn(folder, e.message, e.hint)
        return None
    _limit(cache, config.size)
    stack.push_async_callback(_settle, cache)
    return cache


def _limit(cache: InputCache, size: str) -> None:
    """Set the budget: what is configured, as far as the disk has it, or a share of the disk."""
    there = shutil.disk_usage(cache.shelf.folder).free + cache.total
    if not size:
        cache.budget = min(there // SHARE, MOST)
    elif cache.budget > there:
        log.warning(
            "Compute.Cache.Size: %s is more than the disk of %s has, where %s are free for it: name less, or a folder"
            " on another disk as Compute.Cache.Path",
            size,
            cache.shelf.folder,
            show_bytes(there),
        )
        cache.budget = there


def _warn(folder: Path, reason: str, cure: str) -> None:
    log.warning(
        "Compute.Cache.Path: %s cannot hold the cache of inputs, and this node keeps none: %s; %s, name another folder,"
        " or turn the cache off with Compute.Cache.Size=0",
        folder,
        reason,
        cure.rstrip("."),
    )


async def _settle(cache: InputCache) -> None:
    try:
        await cache.settle()
    except Unavailable as e:
        log.warning("%s", e)
