"""The verbs of what jobs leave: their output, results, and the proofs of what they read and wrote.

Written by `make sync` from `outputs`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bacalhau.client.log_piece import LogPiece
from bacalhau.client.outputs import OutputVerbs
from bacalhau.client.sync_jobs import SyncJobVerbs
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import ListProvenanceResponse, ListResultsResponse
from bacalhau.ports.progress import Report, ignore


class SyncOutputVerbs(SyncJobVerbs):
    """Verbs of output and results."""

    _client: OutputVerbs

    def logs(self, job_id: str, follow: bool = False, **query: Any) -> Iterator[tuple[int, str]]:
        """(1 stdout or 2 stderr, text) of the latest execution; see `log_pieces`."""
        return self._each(self._client.logs(job_id, follow, **query))

    def log_pieces(self, job_id: str, follow: bool = False, **query: Any) -> Iterator[LogPiece]:
        """Yield what was printed so far, and with `follow` until the job ends, over restarts of the server.

        Also `execution_id`, `namespace`, `tail` (only what comes from now on), `tail_lines` (of what was printed so far
        only that many of the last lines; 0 is none), `wide` (the current execution of each partition, or node, side by
        side), `all` (every execution).
        """
        return self._each(self._client.log_pieces(job_id, follow, **query))

    def results(self, job_id: str, *, namespace: str = "") -> tuple[SpecConfig, ...]:
        """List where the published results of the completed executions are."""
        return self._run(self._client.results(job_id, namespace=namespace))

    def list_results(self, job_id: str, *, namespace: str = "") -> ListResultsResponse:
        """List published results, and the executions whose proofs tell what is in them."""
        return self._run(self._client.list_results(job_id, namespace=namespace))

    def provenance(self, job_id: str, **query: Any) -> ListProvenanceResponse:
        """Tell what the executions of a job read and wrote. `execution_id`, `job_version`, `namespace`, and `page` for
        one page of what one execution wrote.
        """
        return self._run(self._client.provenance(job_id, **query))

    def statements(self, job_id: str, **query: Any) -> Iterator[bytes]:
        """Yield the provenance of a job as in-toto statements in JSON Lines, one an execution, piece by piece: a
        line may have many pieces. `execution_id`, `job_version`, `namespace`.
        """
        return self._each(self._client.statements(job_id, **query))

    def get(
        self,
        job_id: str,
        output_dir: str | Path,
        raw: bool = False,
        only: str = "",
        *,
        report: Report = ignore,
        seconds: float = 0,
    ) -> Path:
        """Download and verify the results into `output_dir`, which is made where it is not there. Returns its path.

        Several results are merged, unless `raw`; `only` is a path inside the result. `seconds` limits each result, 0
        leaves it to the configuration. Raises NotFound when there are none, Conflict when a file would be replaced.
        """
        return self._run(self._client.get(job_id, output_dir, raw, only, report=report, seconds=seconds))
