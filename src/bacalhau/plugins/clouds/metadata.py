"""The metadata service of a machine in a cloud, from which such a machine gets credentials of its own."""

import http.client
from collections.abc import Callable, Mapping

from bacalhau.lib.clock import now_ns

_HOST, _SECONDS = "169.254.169.254", 0.3
_LOOK_AGAIN_NS = 60_000_000_000


class MetadataService:
    """The service of one cloud. `is_ours` tells whether an answer to a question for `path` is that cloud's."""

    def __init__(
        self, path: str, headers: Mapping[str, str], is_ours: Callable[[http.client.HTTPResponse], bool]
    ) -> None:
        self._path, self._headers, self._is_ours = path, headers, is_ours
        self.looked: tuple[int, bool] | None = None  # when it was looked for, and whether it is there

    def is_there(self) -> bool:
        """Look whether this machine is one of the cloud's; what was found holds for a minute."""
        now = now_ns()
        if self.looked is None or now - self.looked[0] > _LOOK_AGAIN_NS:
            self.looked = now, self._ask()
        return self.looked[1]

    def _ask(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, timeout=_SECONDS)
        try:
            connection.request("GET", self._path, headers=dict(self._headers))
            return self._is_ours(connection.getresponse())
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
