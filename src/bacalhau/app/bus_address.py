"""The way from a node to the message server: its addresses, and whom to trust there."""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bacalhau.bus.server import Tls
from bacalhau.bus.shortcut import Shortcut
from bacalhau.config.schema import Compute, ServerTLS
from bacalhau.lib.errors import BadRequest

_HOW = "name the message server to join, nats://HOST:PORT"
_SCHEMES = ("nats", "tls")


class BusAddress(NamedTuple):
    """`urls` with commas between, tried in turn. `shortcut` leads to an orchestrator in this process."""

    urls: str = ""
    tls: ssl.SSLContext | None = None
    shortcut: Shortcut | None = None


def bus_address_of(config: Compute) -> BusAddress:
    """The way that a node's configuration describes. Raises BadRequest naming the key."""
    urls = [url.strip() for url in config.orchestrators if url.strip()]
    if not urls:
        raise BadRequest("Compute.Orchestrators is empty", hint=_HOW)
    problems = [f"Compute.Orchestrators: '{url}' {problem}" for url in urls if (problem := _problem(url))]
    if problems:
        raise BadRequest(problems, hint=_HOW)
    if config.tls.require_tls:
        urls = [f"tls://{url.removeprefix('nats://').removeprefix('tls://')}" for url in urls]
    return BusAddress(",".join(urls), trusting(config.tls.ca_cert, "Compute.TLS.CACert"))


def hosts_of(urls: str) -> list[str]:
    """List the hosts that addresses of message servers, with commas between, name; a scheme may be missing."""
    found = [url.strip() for url in urls.split(",") if url.strip()]
    return [urlsplit(url if "://" in url else f"//{url}").hostname or "" for url in found]


def _problem(url: str) -> str:
    """Say why a text is no address of a message server; "" when it is one."""
    scheme, mark, rest = url.partition("://")
    if mark and scheme not in _SCHEMES:
        return f"begins with {scheme}://, which is no way to a message server"
    try:
        found = urlsplit(f"//{rest if mark else url}")
        if not found.hostname:
            return "names no host"
        return "has port 0" if found.port == 0 else ""
    except ValueError as e:
        return f"cannot be read: {str(e).lower()}"


def server_tls(wanted: ServerTLS) -> Tls | None:
    """Load the certificate that the bundled message server shows; None without TLS.

    Raises BadRequest naming the key.
    """
    if not wanted.server_cert and not wanted.server_key:
        return None
    if not wanted.server_cert or not wanted.server_key:
        raise BadRequest(
            "Orchestrator.TLS.ServerCert and Orchestrator.TLS.ServerKey belong together", hint="set both, or none"
        )
    cert, key = Path(wanted.server_cert), Path(wanted.server_key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except OSError as e:
        reason = e.strerror or str(e)
        raise BadRequest(
            f"Orchestrator.TLS.ServerCert {cert} with ServerKey {key}: {reason}",
            hint="both are PEM files, and belong to each other",
        ) from e
    return Tls(cert, key, timeout=wanted.server_timeout)


def trusting(ca_file: str, key: str) -> ssl.SSLContext | None:
    """Load the certificates to trust; None means those that this machine trusts. Raises BadRequest naming the
    configuration's `key`.
    """
    if not ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as e:
        raise BadRequest(f"{key}: {ca_file}: {e.strerror or e}", hint="a PEM file of certificates") from e
