"""Results in the orchestrator's own bucket as inputs of other jobs. Each is one archive, which a node fetches by links
that the orchestrator signs for it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bacalhau.border.exchange import Incoming
from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing, Patience
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.failure import AbsentObject, AccessRefused, ChangedObject
from bacalhau.plugins.s3.fetch import Origin, fetch_entries, renewing, strong_etag
from bacalhau.plugins.s3.linked import linked_address
from bacalhau.plugins.s3.params import S3SourceParams
from bacalhau.plugins.s3.reported import KeptInput
from bacalhau.ports.plugin import Setting, SignInput, source_patience
from bacalhau.ports.progress import Report
from bacalhau.ports.storage import WHOLE, Entry, Manifest, Partition, Volume

_ADDRESS = linked_address(S3SourceParams())  # a link says the place
_WHOLE = re.compile(r"bytes \d{1,18}-\d{1,18}/(\d{1,18})")
_FIRST_BYTE = ("Range", "bytes=0-0")  # a link to GET is not one to HEAD


class KeptSource:
    """A Storage. `sign` is asked for a fresh link before each request, so that none is too old."""

    def __init__(self, sign: SignInput, patience: Patience = USUAL) -> None:
        self._sign, self._patience = sign, patience
        self._client = S3Client(patience=patience)

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        return None

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """Find size and ETag of the archive."""

        async def look() -> Entry:
            request = Request(_ADDRESS, "GET", _name_of(source), headers=(_FIRST_BYTE,), url=await self._link(source))
            return await self._client.once(request, lambda response: _read_entry(source, response))

        with _explained(source):
            return Manifest(source, (await Effort(self._patience).persist(renewing(look)),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        """Bring the archive into `into`, which is the volume."""

        async def find_link(key: str) -> str:
            return await self._link(manifest.source)

        origin = Origin(self._client, _ADDRESS, patience=self._patience, link=find_link)
        with _explained(manifest.source):
            await fetch_entries(origin, manifest.entries, into, report)
        return Volume(into)

    async def _link(self, source: SpecConfig) -> str:
        """Return the link that came with a question, else ask for one. Raises StorageFailure."""
        if link := require_params(source, KeptInput).link:
            return link
        try:
            return require_params(await self._sign(source), KeptInput).link
        except BacalhauError as e:
            said = f"no link to the result in the orchestrator's bucket: {e.message}"
            if not e.retryable:
                raise StorageFailure(said, hint=e.hint, component="S3") from e
            raise Passing(said, hint=e.hint, component="S3").because(Fault(e.message)) from e


@contextmanager
def _explained(source: SpecConfig) -> Iterator[None]:
    """Name the result in the errors of a place that the node does not know."""
    params = require_params(source, KeptInput)
    which = f"the result of job {params.job_id}, execution {params.execution_id}"
    try:
        yield
    except AbsentObject as e:
        said = f"{which} is not in the orchestrator's bucket any more"
        raise StorageFailure(said, hint="run that job again", component="S3") from e
    except ChangedObject as e:
        said = f"{which} changed after it was listed"
        raise StorageFailure(said, hint=e.hint, component="S3") from e
    except AccessRefused as e:
        said = f"the orchestrator's bucket refuses the signed link to {which}"
        hint = "check the orchestrator's credentials, and its clock"
        raise StorageFailure(said, hint=hint, component="S3") from e


def _name_of(source: SpecConfig) -> str:
    return f"{require_params(source, KeptInput).execution_id}.tar.gz"


async def _read_entry(source: SpecConfig, response: Incoming) -> Entry:
    """Read size and ETag of the whole off the answer to a request for its first byte."""
    told = _WHOLE.fullmatch(response.headers.get("Content-Range", "")) if response.status == 206 else None
    size = int(told[1]) if told else response.content_length if response.status == 200 else None
    name = _name_of(source)
    return Entry(name, name, -1 if size is None else size, strong_etag(response))


def check_source(spec: SpecConfig) -> list[str]:
    """Refuse an input that a user wrote: only the orchestrator makes such inputs, of the results that a job takes."""
    return ["results of publisher s3managed are no inputs by themselves: write job://ID or type job"]


def make_source(setting: Setting) -> KeptSource:
    return KeptSource(setting.sign_input, source_patience(setting.config.input_sources))
