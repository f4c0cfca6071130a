"""The door against web pages: a browser carries requests of any page to any address that it reaches, also to loopback.

A page names itself in Origin, which no script can change. Pages other than the server's own and those in
API.Cors.AllowedOrigins may neither write, nor open a socket, nor read an answer. A page whose name was made to lead to
this server (DNS rebinding) counts as the server's own for its browser; there the name in Host tells. It is looked at on
loopback, and elsewhere where anybody may read and no certificate proves the name. Programs send no Origin and are
concerned only by the name they call.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from bacalhau.api.http.errors import COMPONENT
from bacalhau.border.addresses import is_loopback
from bacalhau.border.names import shorten
from bacalhau.config.access import API, is_guarded
from bacalhau.models.wire.api import ErrorBody

_READING = ("GET", "HEAD", "OPTIONS")
_SETTING = "API.Cors.AllowedOrigins"
_HOSTS = "API.AllowedHosts"
# Names below these are never resolved by the public DNS, so no stranger can make them lead here.
_PRIVATE = (".internal", ".local", ".localhost", ".home.arpa")


class Door:
    """The pages and names that one server answers."""

    def __init__(self, api: API) -> None:
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in api.cors.allowed_origins)
        self._is_local = is_loopback(api.host)
        self._is_proven = is_guarded(api.auth) or bool(api.tls.cert_file) or api.tls.self_signed
        named = {host.lower().rstrip(".") for host in api.allowed_hosts}
        self._suffixes = tuple(name.removeprefix("*") for name in named if name.startswith("*"))
        self._names = named | {api.host.lower(), *(urlsplit(origin).hostname or "" for origin in self._allowed)}
        if not self._is_local and not self._is_proven:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def is_allowed(self, origin: str, host: str) -> bool:
        """Tell whether a page may read and write: the server's own, or one of the setting."""
        own = (f"http://{host.lower()}", f"https://{host.lower()}")
        return "*" in self._allowed or origin.lower() in self._allowed or origin.lower() in own

    def refusal(self, kind: str, method: str, origin: str, host: str) -> ErrorBody | None:
        """Return the answer to a request that may not come in, None to all others. `kind` is http or websocket."""
        if host and not self._is_own(name := host_name(host).rstrip(".")):
            return self._misdirected(name)
        if origin and not (kind == "http" and method in _READING) and not self.is_allowed(origin, host):
            return _refused(
                403,
                "Forbidden",
                f"pages of the origin {shorten(origin)!r} may not use this server",
                f"add it to {_SETTING} of the server if they shall",
            )
        return None

    def _is_own(self, name: str) -> bool:
        if name in self._names or is_loopback(name) or name.endswith(self._suffixes):
            return True
        return not self._is_local and (self._is_proven or _is_private(name))

    def _misdirected(self, name: str) -> ErrorBody:
        told = f"the Host header names {shorten(name)!r}, "
        if self._is_local:
            told += "but this server is there for its own machine only"
            cure = f"call it as localhost or 127.0.0.1, or add the name to {_HOSTS} of the server"
        else:
            told += "which is none of the names of this server, and a page that made it lead here could read everything"
            cure = f"add the name to {_HOSTS} of the server ('*' for any), or call the server by its address"
        return _refused(421, "MisdirectedRequest", told, cure)


def _is_private(name: str) -> bool:
    """Tell whether a host is an address, or a name that the public DNS cannot resolve."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE)
    return True


def host_name(host: str) -> str:
    """Cut the port off a Host header, in lower case; what is no host stays as it is."""
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host


def _refused(status: int, code: str, message: str, hint: str) -> ErrorBody:
    return ErrorBody(status=status, message=message, code=code, component=COMPONENT, hint=hint)
