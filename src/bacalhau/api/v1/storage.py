"""The route that tells what this process keeps on its disk, by area, with the limits that the configuration sets."""

import asyncio
import os
from pathlib import Path

from litestar import get

from bacalhau.api.http.request import Ask, server_config
from bacalhau.config.schema import Config
from bacalhau.lib.units import parse_bytes
from bacalhau.models.wire.api import StorageArea, StorageResponse


@get("/agent/storage")
async def get_storage(request: Ask) -> StorageResponse:
    """Measure the folders of this process: content, output, state and executions."""
    return StorageResponse(items=tuple(await asyncio.to_thread(_measure, server_config(request))))


def _measure(config: Config) -> list[StorageArea]:
    root, own = Path(config.data_dir), config.orchestrator
    areas = [
        ("results published to IPFS", root / "orchestrator" / "content", own.retention.content_max_total),
        ("output of jobs", root / "orchestrator" / "logs", own.logs.max_total),
        ("state of the orchestrator", root / "orchestrator" / "state.db", ""),
        ("executions of this node", root / "compute" / "executions", ""),
        ("state of this node", root / "compute" / "journal.db", ""),
    ]
    return [_area(name, path, limit) for name, path, limit in areas if path.exists()]


def _area(name: str, path: Path, limit: str) -> StorageArea:
    """Measure a folder, or a database with the files beside it. What goes away meanwhile is left out."""
    files = [*path.parent.glob(f"{path.name}*")] if path.is_file() else _walk(path)
    sizes = [size for file in files if (size := _size(file)) is not None]
    return StorageArea(
        name=name, path=str(path), bytes=sum(sizes), files=len(sizes), limit=parse_bytes(limit) if limit else 0
    )


def _walk(folder: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]


def _size(file: Path) -> int | None:
    """Return the bytes that a file takes on the disk, which for a sparse one is less than its length."""
    try:
        return file.lstat().st_blocks * 512
    except OSError:
        return None
