"""Brings a result that a node serves over HTTP to the client: an archive is unpacked, any other file is
left as it is.
"""

import asyncio
import logging
from pathlib import Path

from bacalhau.border.archive import unpack_async
from bacalhau.border.connect import reach_beside
from bacalhau.lib.errors import NotFound
from bacalhau.lib.patience import DOWNLOAD, Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.plugin import ResultServer
from bacalhau.ports.progress import Report, Step

_ARCHIVES = (".tar.gz", ".tgz")
log = logging.getLogger(__name__)


class UrlDownloader:
    """A Downloader for results of type urlDownload; what breaks off is gone on with while the download lasts.

    `server` is the URL of the client's API, beside which a node may be on the client's own machine.
    """

    def __init__(self, server: str, patience: Patience = DOWNLOAD) -> None:
        self._server, self._patience = server, patience

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        def tell(step: Step) -> None:
            report(step._replace(stage="downloading"))

        async with UrlSource(self._patience, await reach_beside(self._server)) as source:
            manifest = await source.resolve(result)
            await source.fetch(manifest, into, tell)
        name = manifest.entries[0].path
        if not name.endswith(_ARCHIVES):
            if only and only.strip("/") != name:
                raise NotFound(f"the result has no {only}", hint="leave out the path to get the whole result")
            return
        archive = into / name
        left_out = await unpack_async(archive, into, only)
        await asyncio.to_thread(archive.unlink)
        for link in left_out:
            log.warning("symlink %s of the result was left out: it points outside of it", link)


def make_downloader(server: ResultServer) -> UrlDownloader:
    return UrlDownloader(server.url, DOWNLOAD._replace(seconds=server.config.patience))
