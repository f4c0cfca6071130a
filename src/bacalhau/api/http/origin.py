"""The door against web pages: a browser carries requests of any page to any address that it reaches, also to loopback.

A page names itself in Origin, which no script can change. Pages other than the server's own and those in
API.Cors.AllowedOrigins may neither write, nor open a socket, nor read an answer. A page whose name was made to lead to
loopback (DNS rebinding) counts as the server's own for its browser; there the name in Host tells. Programs send no
Origin and are not concerned.
"""

from urllib.parse import urlsplit

from bacalhau.api.http.errors import COMPONENT
from bacalhau.border.addresses import is_loopback
from bacalhau.border.names import shorten
from bacalhau.config.access import API
from bacalhau.models.wire.api import ErrorBody

_READING = ("GET", "HEAD", "OPTIONS")
_SETTING = "API.Cors.AllowedOrigins"


class Door:
    """The pages and names that one server answers."""

    def __init__(self, api: API) -> None:
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in api.cors.allowed_origins)
        self._is_local = is_loopback(api.host)
        self._names = {api.host.lower(), *(urlsplit(origin).hostname for origin in self._allowed)}

    def is_allowed(self, origin: str, host: str) -> bool:
        """Tell whether a page may read and write: the server's own, or one of the setting."""
        own = (f"http://{host.lower()}", f"https://{host.lower()}")
        return "*" in self._allowed or origin.lower() in self._allowed or origin.lower() in own

    def refusal(self, kind: str, method: str, origin: str, host: str) -> ErrorBody | None:
        """Return the answer to a request that may not come in, None to all others. `kind` is http or websocket."""
        if self._is_local and host and not self._is_own(name := host_name(host)):
            return _refused(
                421,
                "MisdirectedRequest",
                f"the Host header names {shorten(name)!r}, but this server is there for its own machine only",
                f"call it as localhost or 127.0.0.1, or add the page's origin to {_SETTING}",
            )
        if origin and not (kind == "http" and method in _READING) and not self.is_allowed(origin, host):
            return _refused(
                403,
                "Forbidden",
                f"pages of the origin {shorten(origin)!r} may not use this server",
                f"add it to {_SETTING} of the server if they shall",
            )
        return None

    def _is_own(self, name: str) -> bool:
        return name in self._names or is_loopback(name)


def host_name(host: str) -> str:
    """Cut the port off a Host header, in lower case; what is no host stays as it is."""
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host


def _refused(status: int, code: str, message: str, hint: str) -> ErrorBody:
    return ErrorBody(status=status, message=message, code=code, component=COMPONENT, hint=hint)
