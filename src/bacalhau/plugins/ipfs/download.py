"""Brings a published tree to the client, from the orchestrator's gateway or from a Kubo node, verified
block by block.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bacalhau.border.connect import open_session
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.patience import DOWNLOAD, Effort, Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.kubo import Kubo
from bacalhau.plugins.ipfs.remote import GatewayReader
from bacalhau.plugins.ipfs.tree import safe_name, write_tree
from bacalhau.plugins.ipfs.unixfs.cid import parse_path
from bacalhau.plugins.ipfs.unixfs.read import Reader, StoreReader, VerifiedReader, resolve
from bacalhau.ports.plugin import ResultServer
from bacalhau.ports.progress import Report, Step


class IpfsDownloader:
    """`base_url` like `http://127.0.0.1:1234`, `headers` go with each request to it; `endpoint` is a Kubo RPC address
    instead.
    """

    def __init__(
        self,
        base_url: str,
        endpoint: str = "",
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | bool = True,
        patience: Patience = DOWNLOAD,
    ) -> None:
        self._patience = patience
        self._base_url = base_url
        self._endpoint = endpoint
        self._headers = headers
        self._tls = tls

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        """The tree goes into `into`; a file of its own to `into`/CID; `only` to `into`/`only`.

        NotFound when `only` is not in it.
        """
        cid, path = parse_path(_cid_of(result))
        telling = _Telling(report)
        async with self._reader(Effort(self._patience, telling.wait)) as reader:
            root, _ = await resolve(reader, cid, path)
            target = into
            if only:
                root, _ = await resolve(reader, root, only)
                target = into.joinpath(
                    *(safe_name(name.encode("utf-8", "surrogateescape"), cid) for name in only.split("/") if name)
                )
            await write_tree(reader, root, target, into, telling.tell)

    @asynccontextmanager
    async def _reader(self, effort: Effort) -> AsyncIterator[Reader]:
        if self._endpoint:
            async with Kubo.open(self._endpoint, self._patience.silence) as kubo:
                yield VerifiedReader(StoreReader(kubo))
            return
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._patience.silence)
        connection = {"ssl": self._tls}
        async with open_session(
            server=self._base_url,
            connection=connection,
            timeout=timeout,
            headers=self._headers,
            read_bufsize=1 << 20,
        ) as session:
            reader = GatewayReader(session, self._base_url, effort)
            try:
                yield VerifiedReader(reader)
            finally:
                await reader.close()


class _Telling:
    """The step that is reported."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._step = Step("downloading")

    def tell(self, more_files: int, more_bytes: int, total: int) -> None:
        done, size = self._step.done + more_files, self._step.bytes_done + more_bytes
        self._step = Step("downloading", done, 0, size, total)
        self._report(self._step)

    def wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))


def _cid_of(result: SpecConfig) -> str:
    found = next((value for name, value in (result.params or {}).items() if name.lower() == "cid"), "")
    if not isinstance(found, str) or not found:
        raise BadRequest("the result names no CID")
    return found


def make_downloader(server: ResultServer) -> IpfsDownloader:
    tls = server.trust() if server.url.startswith("https") else True
    patience = DOWNLOAD._replace(seconds=server.config.patience)
    return IpfsDownloader(server.url, server.config.types.ipfs.endpoint, dict(server.headers), tls, patience)
