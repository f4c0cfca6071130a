"""The port of downloaders, which bring a published result to the client."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import Report


@runtime_checkable
class Downloader(Protocol):
    """Every publisher has one. Failures are StorageFailure, NotFound or Unavailable."""

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        """Bring the result tree (or just the path `only` of it) into the directory `into`, verified (stage
        "downloading").

        `into` is the caller's own and may hold what an earlier, broken attempt left: complete and verified parts are
        not fetched again.
        """
        ...
