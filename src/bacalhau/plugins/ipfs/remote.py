"""Blocks from an HTTP gateway that nobody has to trust: one CAR stream while it fits, single blocks where
it does not.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from functools import partial

import aiohttp

from bacalhau.lib.aio import gather_bounded, read_up_to
from bacalhau.lib.errors import BacalhauError, Forbidden, NotFound, StorageFailure, Unauthorized
from bacalhau.lib.network import network_fault
from bacalhau.lib.patience import Effort, Fault, Passing
from bacalhau.plugins.ipfs.unixfs.car import CarBlock, read_car
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK, Cid
from bacalhau.plugins.ipfs.unixfs.read import WINDOW, Anchor

_REMEMBERED_BYTES = 8 << 20
# A stream that begins in the middle of a file repeats the nodes above that place; no tree is deeper.
_LONGEST_WAY = 16


class _Passing(Exception):
    """The server says that it is in trouble just now."""


_LOST = (aiohttp.ClientError, TimeoutError, EOFError, _Passing)


class GatewayReader:
    """A `Supplier` over `base_url`/ipfs.

    A gateway sends each block once, so the last few megabytes are remembered for repetitions; older ones are asked for
    singly. A lost connection is taken up again at the anchor of the block that is wanted.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str, effort: Effort) -> None:
        self._session, self._effort = session, effort
        self._base = base_url.rstrip("/")
        self._recent: OrderedDict[Cid, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._response: aiohttp.ClientResponse | None = None
        self._car: AsyncGenerator[CarBlock, None] | None = None
        self._read: CarBlock | None = None
        self._skippable = 0

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> bytes:
        if (inline := cid.inline) is not None:
            return inline
        if cid not in self._recent:
            self._remember(cid, await self._persist(cid, upcoming, anchor))
        self._recent.move_to_end(cid)
        return self._recent[cid]

    async def close(self) -> None:
        if self._car is not None:
            await self._car.aclose()
        if self._response is not None:
            self._response.close()
        self._car = self._response = self._read = None

    async def _persist(self, cid: Cid, upcoming: Sequence[Cid], anchor: Anchor | None) -> bytes:
        async def attempt() -> bytes:
            try:
                return await self._find(cid, upcoming, anchor)
            except _LOST as e:
                await self.close()
                answered = not isinstance(e, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
                lost = Passing(
                    f"{self._base} cannot be reached: {network_fault(e)}", hint="Try again: what is complete stays."
                )
                fault = Fault(f"the server cannot be reached ({network_fault(e)})", answered=answered)
                raise lost.because(fault) from e

        return await self._effort.persist(attempt)

    async def _find(self, cid: Cid, upcoming: Sequence[Cid], anchor: Anchor | None) -> bytes:
        for _ in range(2):
            if self._car is None and anchor is not None:
                await self._begin(anchor)
            if (block := await self._follow(cid)) is not None:
                return block
            if self._car is not None or anchor is None:
                break
        later = (
            []
            if self._car or anchor
            else [c for c in dict.fromkeys(upcoming) if c != cid and c not in self._recent and c.inline is None]
        )
        first, *rest = await gather_bounded(WINDOW, [partial(self._single, one) for one in (cid, *later)])
        for one, block in zip(later, rest, strict=True):
            self._remember(one, block)
        return first

    async def _single(self, cid: Cid) -> bytes:
        async with self._session.get(f"{self._base}/ipfs/{cid}", params={"format": "raw"}) as response:
            await _require_ok(response, cid)
            return await read_up_to(LARGEST_BLOCK + 1, response.content.iter_any())

    async def _begin(self, anchor: Anchor) -> None:
        params = {"format": "car", "car-order": "dfs", "car-dups": "n"}
        if anchor.offset:
            params |= {"dag-scope": "entity", "entity-bytes": f"{anchor.offset}:*"}
        self._response = await self._session.get(f"{self._base}/ipfs/{anchor.cid}", params=params)
        await _require_ok(self._response, anchor.cid)
        self._car = read_car(self._response.content.iter_any())
        self._skippable = _LONGEST_WAY if anchor.offset else 0

    async def _follow(self, cid: Cid) -> bytes | None:
        """The stream's next block if it is `cid`; None when the stream is at something else, or at its end."""
        while self._car is not None:
            self._read = self._read or await anext(self._car, None)
            if self._read is None:
                await self.close()
            elif self._read.cid[1:] == cid[1:]:
                block, self._read, self._skippable = self._read.block, None, 0
                return block
            elif self._skippable:
                self._read, self._skippable = None, self._skippable - 1
            else:
                return None
        return None

    def _remember(self, cid: Cid, block: bytes) -> None:
        self._recent[cid] = block
        self._recent_bytes += len(block)
        while self._recent_bytes > _REMEMBERED_BYTES and len(self._recent) > 1:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])


async def _require_ok(response: aiohttp.ClientResponse, cid: Cid) -> None:
    if response.status == 200:
        return
    if response.status in (408, 429) or response.status >= 500:
        raise _Passing(f"status {response.status}")
    text = (await read_up_to(500, response.content.iter_any())).decode(errors="replace").strip()
    raise _refusal(response.status, str(cid), text)


def _refusal(status: int, cid: str, text: str) -> BacalhauError:
    if status in (404, 410):
        return NotFound(
            f"content {cid} is not held by the server",
            hint="It was published to another IPFS node, or has been removed here: with its job, or because of"
            " Orchestrator.Retention.ContentMaxAge or ContentMaxTotal.",
        )
    if status in (401, 403):
        return (Unauthorized if status == 401 else Forbidden)(f"not allowed to read {cid}: {text}")
    return StorageFailure(f"the server refused {cid} with status {status}: {text}")
