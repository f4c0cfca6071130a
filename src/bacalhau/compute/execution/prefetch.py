"""Prefetches inputs of executions that are likely to begin on this node next, while the present ones keep it full.

Inputs come as they come for an execution: from the same sources, with the same rules and credentials, and by the same
way into the cache, so who needs one that is just coming waits for it. They belong to nobody, and go like all else in
the cache when room is needed. A failure says nothing to anybody: the execution meets its cause itself.
"""

import logging
from collections.abc import Sequence

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.execution.cached import Way, bring_ahead
from bacalhau.compute.execution.inputs import find_manifests, source_of
from bacalhau.compute.state.cache import InputCache, digest_of
from bacalhau.lib.aio import uninterrupted
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.units import show_bytes
from bacalhau.models.wire.messages import PrefetchPiece
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Partition, Reusable

SHARE = 8  # of the cache's budget: the part that a piece may bring
log = logging.getLogger(__name__)


def set_prefetches(node: ComputeNode, pieces: Sequence[PrefetchPiece]) -> None:
    """Prefetch the inputs of these pieces, and give up those that are not named any more."""
    cache, tasks = node.cache, node.prefetches.tasks
    if cache is None or not cache.budget or not node.prefetches.is_on:
        return
    wanted = {_name(piece): piece for piece in pieces}
    for name in tasks.keys() - wanted.keys():
        tasks.pop(name).cancel()
    for name, piece in wanted.items():
        if name not in tasks:
            tasks[name] = node.crew.start(_prefetch(node, cache, piece, name))


def _name(piece: PrefetchPiece) -> str:
    """Name the tree of a piece; no execution has that name."""
    return "prefetch-" + digest_of(f"{piece.job.id}\0{piece.job.version}\0{piece.partition}")


async def _prefetch(node: ComputeNode, cache: InputCache, piece: PrefetchPiece, name: str) -> None:
    """Bring what a piece reads, as far as it takes no more than its share of the cache."""
    async with node.prefetches.turn:
        try:
            await _bring(node, cache, piece, name)
        except (BacalhauError, OSError) as e:
            log.info("inputs of job %s were not prefetched: %s", piece.job.id, e)
        except Exception:  # supervised: a fault of ours costs a prefetch, not the node
            log.exception("prefetching inputs of job %s", piece.job.id)
        finally:
            await uninterrupted(cache.release(name))


async def _bring(node: ComputeNode, cache: InputCache, piece: PrefetchPiece, name: str) -> None:
    await node.prefetches.give_way()
    part = Partition(piece.partition, piece.job.wanted)
    came, share = 0, cache.budget // SHARE
    for n, manifest in enumerate(await find_manifests(node, piece.job, part, ignore)):
        source = source_of(node, manifest.source)
        if isinstance(source, Reusable):
            way = Way(cache, source, cache.tree(name) / str(n))
            came += await bring_ahead(way, manifest, share - came, node.prefetches.give_way)
    if came:
        log.info("prefetched %s of inputs of job %s", show_bytes(came), piece.job.id)
