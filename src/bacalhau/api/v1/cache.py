"""Routes of the inputs that the node of this process keeps for the next task."""

import re
from typing import cast

from litestar import get, put

from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import Ask, read_body
from bacalhau.api.v1.query import ListCache, Query, read_query
from bacalhau.compute.state.cache import InputCache
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.models.wire.api import CachedInput, ListCacheResponse, PruneCacheRequest, PruneCacheResponse
from bacalhau.ports.cache import Kept

PAGE = 1_000
SECOND = 1_000_000_000
_TOKEN = re.compile(r"(\d{1,19})-([0-9a-f]{40})")


@get("/agent/cache", query=ListCache)
async def get_cache(request: Ask) -> ListCacheResponse:
    """List what the node of this process keeps of inputs, first what was used the longest time ago."""
    query, cache = read_query(request.scope["query_string"], ListCache), _cache(request)
    limit = min(query.limit or PAGE, PAGE)
    found = await cache.list_page(_place(query.next_token), limit)
    items = tuple(
        CachedInput(name=one.kept.name, bytes=one.kept.size, used=rfc3339(one.kept.used), pinned=one.pinned)
        for one in found
    )
    last = found[-1].kept if len(found) == limit else None
    return ListCacheResponse(
        items=items,
        next_token=f"{last.used}-{last.digest}" if last else "",
        path=str(cache.shelf.folder),
        bytes=cache.total,
        limit=cache.budget,
    )


@put("/agent/cache/prune", query=Query, body=PruneCacheRequest)
async def prune_cache(request: Ask) -> PruneCacheResponse:
    """Remove inputs that no task uses from the node of this process."""
    asked, unknown = await read_body(request, PruneCacheRequest)
    if unknown:
        raise refused(*(f"unknown field '{path}'" for path in unknown))
    if asked.most is None and not asked.unused_for:
        raise BadRequest("say what is to go: Most (bytes that may stay) or UnusedFor (seconds)")
    cache = _cache(request)
    before = now_ns() - asked.unused_for * SECOND if asked.unused_for else 0
    gone = await cache.prune(asked.most, before)
    return PruneCacheResponse(removed=len(gone), bytes=sum(one.size for one in gone), left=cache.total)


def _cache(request: Ask) -> InputCache:
    found = cast(InputCache | None, request.app.state.get("cache"))
    if found is None:
        raise NotFound(
            "the process behind this API has no cache of inputs",
            hint="name the API of a node that has one, with --api-host and --api-port: a node tells its port when it"
            " starts, and why it keeps none (Compute.Cache)",
        )
    return found


def _place(token: str) -> Kept | None:
    if not token:
        return None
    if (found := _TOKEN.fullmatch(token)) is None:
        raise BadRequest(f"next_token {token[:60]!r} is not one of this list", hint="take it from the page before")
    return Kept(found[2], "", 0, min(int(found[1]), 2**63 - 1))
