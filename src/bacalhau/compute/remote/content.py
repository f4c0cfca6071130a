"""The orchestrator's content store, as a node sees it through the bus: no port of its own, no other credentials."""

from collections.abc import Iterable
from typing import Never

from bacalhau.lib.errors import NotFound, Unavailable
from bacalhau.models.wire import messages as m
from bacalhau.ports.bus import NodeBus

SECONDS = 60.0


class RemoteContent:
    """ports.content.ContentStore over NodeBus. A put is at most about 700 KiB: a bus message holds 1 MiB."""

    def __init__(self, bus: NodeBus) -> None:
        self._bus = bus

    async def missing(self, cids: Iterable[str]) -> list[str]:
        answer = await self._bus.request(m.MissingBlocksRequest(cids=tuple(cids)), control=False, seconds=SECONDS)
        return list(answer.cids) if isinstance(answer, m.MissingBlocksResponse) else _strange(answer)

    async def put(self, blocks: dict[str, bytes]) -> None:
        await self._bus.request(m.PutBlocksRequest(blocks=blocks), control=False, seconds=SECONDS)

    async def get(self, cid: str) -> bytes:
        answer = await self._bus.request(m.GetBlockRequest(cid=cid), control=False, seconds=SECONDS)
        if not isinstance(answer, m.GetBlockResponse):
            return _strange(answer)
        if not answer.found:
            raise NotFound(f"the content store does not hold {cid}")
        return answer.block


def _strange(answer: object) -> Never:
    raise Unavailable(f"the orchestrator answered a content request with {type(answer).__name__}")
