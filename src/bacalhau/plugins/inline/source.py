"""Inputs that came with the job: a file is written as it is, an archive is unpacked."""

import asyncio
from pathlib import Path

from bacalhau.border.archive import Limits, unpack_async
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.inline.data_url import Content, read_content
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Entry, Manifest, Partition, Volume

_MEMBERS = 1_000_000
_LARGEST = 16 << 30  # bytes; a job of 64 MB can hold as much only by repetition


class InlineSource:
    """A Storage that needs nothing of the node but its disk."""

    async def check(self) -> None:
        return None

    async def is_here(self, source: SpecConfig) -> bool:
        return True

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """One entry, of the size that it takes on disk."""
        return Manifest(source, (Entry("inline", "inline", _size(await asyncio.to_thread(read_content, source))),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        """The volume is the unpacked folder, or the file itself, which is then bound at the target's own name."""
        content = await asyncio.to_thread(read_content, manifest.source)
        try:
            if content.is_archive:
                path = await _unpack(content.data, into, min(manifest.room or _LARGEST, _LARGEST))
            else:
                path = await asyncio.to_thread(_write, content.data, into)
        except OSError as e:
            raise StorageFailure(
                f"inline content could not be written to {into}: {e.strerror or e}", hint="check the disk of the node"
            ) from e
        report(Step("staging", 1, 1, manifest.size, manifest.size))
        return Volume(path)


def _size(content: Content) -> int:
    """gzip ends with the length of what it packed."""
    return int.from_bytes(content.data[-4:], "little") if content.is_archive else len(content.data)


def _write(data: bytes, into: Path) -> Path:
    part, path = into / "part", into / "inline"
    part.write_bytes(data)
    part.chmod(0o644)
    return part.rename(path)


async def _unpack(data: bytes, into: Path, room: int) -> Path:
    archive, part = into / "inline.tar.gz", into / "part"
    await asyncio.to_thread(archive.write_bytes, data)
    part.mkdir()
    left_out = await unpack_async(archive, part, limits=Limits(room, _MEMBERS))
    if left_out:
        raise StorageFailure(
            f"inline archive has symlinks that lead out of it: {', '.join(left_out)}",
            hint="leave them out, or make them relative",
        )
    archive.unlink()
    return part.rename(into / "files")


def make_source(setting: Setting) -> InlineSource:
    return InlineSource()
