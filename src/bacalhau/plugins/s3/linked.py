"""A plain result by links that the orchestrator signs, for clients without credentials for its bucket."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from urllib.parse import quote

import aiohttp
import msgspec

from bacalhau.border.bodies import read_body
from bacalhau.border.connect import open_session
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import decode, encode
from bacalhau.models.wire.api import SignLinksRequest, SignLinksResponse
from bacalhau.plugins.objects.keys import Listed, plan_entries
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.mark import check_mark
from bacalhau.plugins.s3.operation import MOST_OBJECTS, list_page
from bacalhau.plugins.s3.params import LinkedParams, S3SourceParams
from bacalhau.ports.plugin import ResultServer
from bacalhau.ports.storage import Entry

_BATCH = 500  # links asked for at once
_FRESH_SECONDS = 60.0  # a link may hold for minutes only, and must not run out while its object is fetched
_ANSWER_BYTES = 4 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)


class LinkSigner:
    """Asks the orchestrator for links to the objects of one result. Raises StorageFailure where it gives none."""

    def __init__(self, server: ResultServer, asked: LinkedParams) -> None:
        self._server, self._asked = server, asked

    async def sign(self, keys: Sequence[str] = (), after: str = "") -> SignLinksResponse:
        """Ask for a link to the page of the listing after a token, and for links to objects by key."""
        server = self._server
        url = f"{server.url}/api/v1/orchestrator/jobs/{quote(self._asked.job_id, safe='')}/results/links"
        tls: ssl.SSLContext | bool = server.trust() if url.startswith("https") else True
        body = encode(SignLinksRequest(execution_id=self._asked.execution_id, keys=tuple(keys), after=after))
        headers = {**server.headers, "Content-Type": "application/json"}
        try:
            async with (
                open_session(server=url, connection={"ssl": tls}, timeout=_TIMEOUT, headers=headers) as session,
                session.post(url, data=body, allow_redirects=False) as response,
            ):
                answer = await read_body(response.content.iter_any(), _ANSWER_BYTES, f"the server at {server.url}")
                if response.status != 200:
                    raise StorageFailure(f"the server signs no links to the result: status {response.status}")
                links = decode(answer, SignLinksResponse)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as e:
            raise StorageFailure(f"the server signs no links to the result: {e or 'it does not answer'}") from e
        if len(links.links) != len(keys):
            raise StorageFailure(f"the server signed {len(links.links)} links, and {len(keys)} were asked for")
        return links


class Links:
    """Links to the objects of a result, asked for in batches when the first of a batch is needed, or they grew old."""

    def __init__(self, signer: LinkSigner, entries: Sequence[Entry]) -> None:
        self._signer = signer
        self._keys = [entry.key for entry in entries]
        self._places = {key: place for place, key in enumerate(self._keys)}
        self._signed: dict[int, tuple[float, tuple[str, ...]]] = {}
        self._lock = asyncio.Lock()

    async def find(self, key: str) -> str:
        """Return the link to an object. Raises StorageFailure."""
        batch, place = divmod(self._places[key], _BATCH)
        async with self._lock:
            when, links = self._signed.get(batch, (0.0, ()))
            if not links or time.monotonic() - when > _FRESH_SECONDS:
                keys = self._keys[batch * _BATCH : (batch + 1) * _BATCH]
                links = (await self._signer.sign(keys)).links
                self._signed[batch] = (time.monotonic(), links)
        return links[place]


async def list_by_links(client: S3Client, source: S3SourceParams, signer: LinkSigner) -> tuple[Entry, ...]:
    """List the objects of a plain result. Raises StorageFailure, also for one that is not complete."""
    token, listed, address = "", list[Listed](), linked_address(source)
    if source.mark:
        await check_mark(client, address, source, (await signer.sign((source.mark,))).links[0])
    while True:
        links = await signer.sign(after=token)
        page = await list_page(client, Request(address, "GET", url=links.listing))
        listed += (each for each in page.objects if each.key != source.mark)
        if len(listed) > MOST_OBJECTS:
            raise StorageFailure(f"the result has more than {MOST_OBJECTS:,} objects", component="S3")
        if not page.following or page.following == token:
            return plan_entries(source.bucket, source.prefix, "", listed)
        token = page.following


def linked_address(source: S3SourceParams) -> BucketAddress:
    """Return the place of a result as it says itself: the configuration of this machine says nothing about a link."""
    return BucketAddress(source.bucket, source.region, source.endpoint)
