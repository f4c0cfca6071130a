"""Publishes results by content: to the content store, or to a Kubo node where one is configured."""

import asyncio
from collections.abc import Iterator
from functools import partial

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BacalhauError, BadRequest, PublisherFailure
from bacalhau.lib.patience import USUAL, Patience
from bacalhau.models.job.spec import SpecConfig, read_exactly, require_params
from bacalhau.plugins.ipfs.kubo import Kubo
from bacalhau.plugins.ipfs.source import IpfsParams
from bacalhau.plugins.ipfs.unixfs.build import Block, build_batches, content_size
from bacalhau.plugins.ipfs.unixfs.cid import parse_cid
from bacalhau.ports.content import ContentStore
from bacalhau.ports.plugin import Setting, publisher_patience
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Published, Result, ResultInput, wrong_type

# A put to another node is one message, and those are limited to 1 MiB; two blocks of 256 KiB leave room for envelopes.
_PUT_BYTES = 600_000
_PUTS_AT_ONCE = 4


class IpfsPublisher:
    """`endpoint` is the RPC address of a Kubo node (URL or multiaddress); without one, results go to `content`.

    `patience` is for a Kubo node that takes or answers nothing.
    """

    def __init__(self, content: ContentStore, endpoint: str = "", patience: Patience = USUAL) -> None:
        self._content = content
        self._endpoint = endpoint
        self._patience = patience

    async def check(self) -> None:
        if self._endpoint:
            async with Kubo.open(self._endpoint, patience=10) as kubo:
                await kubo.identify()

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        """`{CID}` of the tree, hidden files included. The root's block is sent last, so a root that is held
        is whole.
        """
        try:
            cid = await (self._to_kubo(result, report) if self._endpoint else self._to_content(result, report))
        except OSError as e:
            raise PublisherFailure(f"cannot read the result {e.filename or result.folder}: {e.strerror or e}") from e
        except PublisherFailure:
            raise
        except BacalhauError as e:
            raise PublisherFailure(e.message, hint=e.hint, retryable=e.retryable) from e
        return SpecConfig(type="ipfs", params={"CID": cid})

    async def _to_kubo(self, result: Result, report: Report) -> str:
        total = await asyncio.to_thread(content_size, result.folder)
        report(Step("publishing", bytes_total=total))
        async with Kubo.open(self._endpoint, self._patience.seconds or self._patience.silence) as kubo:
            cid = await kubo.add(result.folder, result.tell)
        report(Step("publishing", bytes_done=total, bytes_total=total))
        return cid

    async def _to_content(self, result: Result, report: Report) -> str:
        total = await asyncio.to_thread(content_size, result.folder)
        done = 0
        held_back: list[Block] = []
        async for batch in build_batches(result.folder, tell=result.tell):
            await self._put_missing(held_back + batch[:-1])
            held_back = batch[-1:]
            done += sum(len(block) for _, block in batch)
            report(Step("publishing", bytes_done=min(done, total), bytes_total=total))
        await self._put_missing(held_back)
        report(Step("publishing", bytes_done=total, bytes_total=total))
        return str(held_back[0][0])

    async def _put_missing(self, batch: list[Block]) -> None:
        blocks = {str(cid): block for cid, block in batch}
        wanted = await self._content.missing(blocks) if blocks else []
        await gather_bounded(_PUTS_AT_ONCE, [partial(self._content.put, share) for share in _shares(wanted, blocks)])


def check_result(published: Published) -> list[str]:
    """List why a node's report is no tree: it must be of type ipfs, and its CID must parse and have no path."""
    params, problems = read_exactly(published.result, IpfsParams)
    try:
        parse_cid(params.cid if params else "")
    except BadRequest as e:
        problems.append(e.message)
    return wrong_type(published, "ipfs") + problems


def as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result, or its part at a path: content, which cannot change."""
    cid = require_params(published.result, IpfsParams).cid
    return ResultInput(SpecConfig(type="ipfs", params={"CID": f"{cid}/{path}" if path else cid}))


def _shares(wanted: list[str], blocks: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    share: dict[str, bytes] = {}
    size = 0
    for cid in wanted:
        if share and size + len(blocks[cid]) > _PUT_BYTES:
            yield share
            share, size = {}, 0
        share[cid] = blocks[cid]
        size += len(blocks[cid]) + len(cid)
    if share:
        yield share


def make_publisher(setting: Setting) -> IpfsPublisher:
    endpoint = setting.config.publishers.types.ipfs.endpoint
    return IpfsPublisher(setting.content, endpoint, publisher_patience(setting.config))
