"""Keep results on the shelf, the folder BACALHAU_SHELF of a disk that nodes and clients share."""

import asyncio
import os
import shutil
from pathlib import Path

from bacalhau.lib.errors import NotFound, PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.ports.plugin import ResultServer, Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Result

SHELF = "BACALHAU_SHELF"


class ShelfResult(Model):
    """`path`: where the result tree lies."""

    path: str = ""


class ShelfPublisher:
    """A publisher that copies the result; a second attempt replaces what the first has left."""

    async def check(self) -> None:
        if not os.environ.get(SHELF):
            raise Unavailable("this node has no shelf", hint=f"set {SHELF} to a folder that nodes and clients share")

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        path = Path(os.environ[SHELF]) / result.execution_id
        await result.confirm()
        try:
            await asyncio.to_thread(shutil.copytree, result.folder, path, dirs_exist_ok=True)
        except (OSError, shutil.Error) as e:
            raise PublisherFailure(f"the result cannot be put on the shelf: {e}", retryable=True) from e
        report(Step("publishing", 1, 1))
        return SpecConfig(type="shelf", params={"Path": str(path)})


class ShelfDownloader:
    """A downloader that copies the result, or a part of it, from the shelf."""

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        source = Path(require_params(result, ShelfResult).path) / only
        if not source.exists():
            raise NotFound(f"the shelf has no {source}")
        target = into / only
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        try:
            if source.is_dir():
                await asyncio.to_thread(shutil.copytree, source, target, dirs_exist_ok=True)
            else:
                await asyncio.to_thread(shutil.copy, source, target)
        except (OSError, shutil.Error) as e:
            raise StorageFailure(f"the result cannot be copied from the shelf: {e}") from e
        report(Step("downloading", 1, 1))


def make(setting: Setting) -> ShelfPublisher:
    return ShelfPublisher()


def make_downloader(server: ResultServer) -> ShelfDownloader:
    return ShelfDownloader()
