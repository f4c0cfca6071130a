"""The proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, also in lower case.

Clients and nodes use them alike. As with programs written in Go, this machine itself is never asked through a proxy.
"""

import urllib.request
from urllib.parse import urlsplit

from bacalhau.border.addresses import is_loopback
from bacalhau.lib.errors import BadRequest


def list_proxies() -> list[str]:
    """List the URLs of all proxies of the environment."""
    return [_with_scheme(url) for name, url in urllib.request.getproxies().items() if name != "no"]


def find_proxy(url: str) -> str | None:
    """Find the proxy for a URL; None where it is connected to directly.

    Raises BadRequest for a proxy that speaks another language than HTTP.
    """
    parts = urlsplit(url)
    if not parts.hostname or is_loopback(parts.hostname) or urllib.request.proxy_bypass(parts.hostname):
        return None
    known = urllib.request.getproxies()
    found = _with_scheme(known.get(parts.scheme) or known.get("all") or "")
    if found and not found.lower().startswith(("http://", "https://")):
        kind = found.partition("://")[0]
        raise BadRequest(
            f"the proxy of the environment for {parts.scheme}://{parts.hostname} begins with {kind}://",
            hint=f"set {parts.scheme.upper()}_PROXY=http://HOST:PORT, or name the host in NO_PROXY",
        )
    return found or None


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"
