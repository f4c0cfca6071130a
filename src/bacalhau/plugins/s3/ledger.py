"""A record of the multipart uploads that are under way, beside the result that they publish.

The parts of an upload that nobody ends stay on the server and are paid for. An upload is recorded when it has begun and
crossed out when it is complete or aborted. What an earlier process of the node left, or what could not be aborted
because the server was away, is aborted when the result is published again.
"""

from pathlib import Path

from bacalhau.lib.wire import Model, decode, encode

_FILE = ".s3-uploads.json"


class Begun(Model):
    """An upload that has begun, and the place that it belongs to."""

    bucket: str = ""
    region: str = ""
    endpoint: str = ""
    is_paying: bool = False
    key: str = ""
    id: str = ""


class Ledger:
    """The uploads of one result; `folder` is the one that the result is in."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._rows = list(decode(self._path.read_bytes(), tuple[Begun, ...])) if self._path.exists() else []

    @property
    def open(self) -> tuple[Begun, ...]:
        """The uploads that have begun and not ended."""
        return tuple(self._rows)

    def add(self, begun: Begun) -> None:
        self._rows.append(begun)
        self._write()

    def remove(self, begun: Begun) -> None:
        self._rows = [row for row in self._rows if row != begun]
        self._write()

    def _write(self) -> None:
        if not self._rows:
            self._path.unlink(missing_ok=True)
            return
        written = self._path.with_suffix(".new")
        written.write_bytes(encode(self._rows))
        written.replace(self._path)
