"""Signatures of S3 requests and links, version 4, as AWS documents them.

Each request of thousands is signed, so what is the same for all of them (the key of the day, the server's host) is made
once. The payload's own digest travels in a signed header, so a signature does not cover the payload again.
"""

import hashlib
import hmac
import time
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from bacalhau.plugins.s3.ambient import Ambient

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_PORTS = {"http": 80, "https": 443}


def signed_headers(
    ambient: Ambient, region: str, method: str, url: str, headers: dict[str, str], stamp: str = ""
) -> dict[str, str]:
    """Return `headers` with those of the signature; without credentials as they are. Only x-amz-… is signed.

    `stamp` is the time as `make_stamp` writes it, by default now.
    """
    if not ambient.credentials:
        return dict(headers)
    stamp = stamp or make_stamp()
    added = {"x-amz-date": stamp, "x-amz-content-sha256": _UNSIGNED}
    if ambient.credentials.token:
        added["x-amz-security-token"] = ambient.credentials.token
    vendor = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
    server, path, query = _split(url)
    covered = sorted({**vendor, **added, "host": _host(server)}.items())
    names = ";".join(name for name, _ in covered)
    lines = (
        method,
        path,
        query,
        *(f"{name}:{' '.join(value.split())}" for name, value in covered),
        "",
        names,
        _UNSIGNED,
    )
    scope = _scope(stamp, region)
    signature = _sign(ambient.credentials, scope, stamp, "\n".join(lines))
    credential = f"{ambient.credentials.access_key}/{scope}"
    said = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**headers, **added, "Authorization": said}


def presigned_url(ambient: Ambient, region: str, url: str, seconds: int, method: str = "GET", stamp: str = "") -> str:
    """Return a link that lets anyone do this request for so many seconds. Needs credentials."""
    stamp = stamp or make_stamp()
    scope = _scope(stamp, region)
    token = ambient.credentials.token
    given = (
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{ambient.credentials.access_key}/{scope}"),
        ("X-Amz-Date", stamp),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", "host"),
        *((("X-Amz-Security-Token", token),) if token else ()),
    )
    link = f"{url}{'&' if '?' in url else '?'}" + "&".join(f"{name}={quote(value, safe='')}" for name, value in given)
    server, path, query = _split(link)
    lines = (method, path, query, f"host:{_host(server)}", "", "host", _UNSIGNED)
    return f"{link}&X-Amz-Signature={_sign(ambient.credentials, scope, stamp, chr(10).join(lines))}"


def make_stamp() -> str:
    """Return the time now as signatures have it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _split(url: str) -> tuple[str, str, str]:
    """Split an address, which is escaped already, into server, path, and the query in the order of signatures."""
    address, _, query = url.partition("?")
    slash = address.find("/", address.find("://") + 3)
    ordered = "&".join("=".join(pair) for pair in sorted(_pair(text) for text in query.split("&"))) if query else ""
    return (address[:slash], address[slash:], ordered) if slash >= 0 else (address, "/", ordered)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


@lru_cache(maxsize=64)
def _host(server: str) -> str:
    """Return the host of a server as its header says it, with a port that is not the usual one."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _scope(stamp: str, region: str) -> str:
    return f"{stamp[:8]}/{region}/s3/aws4_request"


def _sign(credentials: Any, scope: str, stamp: str, request: str) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    return hmac.new(_key(credentials.secret_key, scope), text.encode(), "sha256").hexdigest()


@lru_cache(maxsize=64)
def _key(secret: str, scope: str) -> bytes:
    """Make the key that signs everything of a day, a region and a service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
