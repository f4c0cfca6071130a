"""The place-holder for a plug-in that is installed on a node and cannot be used: the node says so, and why."""

from pathlib import Path
from typing import NoReturn

from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.engine import EngineTask, Exit
from bacalhau.ports.progress import Report
from bacalhau.ports.publisher import Result
from bacalhau.ports.storage import WHOLE, Manifest, Partition, Volume


class Absent:
    """An Engine, Storage and Publisher that is never available."""

    def __init__(self, error: BacalhauError) -> None:
        self._error = error

    def _refuse(self) -> NoReturn:
        raise Unavailable(self._error.message, hint=self._error.hint, retryable=False)

    async def check(self) -> None:
        self._refuse()

    async def run(self, task: EngineTask, report: Report) -> Exit:
        self._refuse()

    async def stop(self, execution_id: str, grace: float) -> None:
        """There is nothing to stop."""

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        self._refuse()

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        self._refuse()

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        self._refuse()
