"""The choice of listed objects by all the limits of a source: glob, filter, names, sizes, dates. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

from bacalhau.border.globs import KeyGlob
from bacalhau.models.job.selection import Choice, Selection
from bacalhau.plugins.objects.keys import Listed, choose_entries, folder_of
from bacalhau.ports.storage import Entry


class Limited(Protocol):
    """The parameters of a source that chooses among listed objects. `glob` is a pattern of whole keys, "" for none."""

    @property
    def bucket(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    @property
    def filter(self) -> str: ...

    @property
    def glob(self) -> str: ...

    @property
    def selection(self) -> Selection: ...


class Chooser:
    """Decides which of listed objects are meant; ages count back from `now` (Unix ns), `store` is for messages."""

    def __init__(self, params: Limited, now: int, store: str = "s3") -> None:
        self._params, self._store = params, store
        self._folder = folder_of(params.prefix)
        self._glob = KeyGlob(params.glob) if params.glob else None
        self._choice = Choice(params.selection, now)

    def choose(self, listed: Iterable[Listed]) -> tuple[Entry, ...]:
        """Return the chosen objects, as `choose_entries` does of a part of a listing. Raises StorageFailure."""
        chosen, params = list(listed), self._params
        if self._glob or not self._choice.is_open:
            chosen = [each for each in chosen if self.takes(each.key, each.size, self._read_time(each))]
        return choose_entries(params.bucket, params.prefix, params.filter, chosen, self._store)

    def takes(self, key: str, size: int, modified: datetime | None) -> bool:
        """Tell whether an object is chosen by all limits but the filter. Raises StorageFailure."""
        if self._glob and not self._glob.matches(key):
            return False
        return self._choice.is_open or self._choice.takes(key.removeprefix(self._folder), size, modified)

    def _read_time(self, each: Listed) -> datetime | None:
        return read_modified(each.modified) if self._choice.needs_time else None


def read_modified(text: str) -> datetime | None:
    """Read the time at which a listing says that an object was changed; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
