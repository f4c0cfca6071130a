"""Failures of the network in plain words, whichever library had them: their own words speak of themselves."""

import os
import socket
import ssl
from collections.abc import Iterator

_LONGEST = 200  # characters of a library's own words


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through an error and its causes, from the outermost inwards."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        group = inner.exceptions[0] if isinstance(inner, BaseExceptionGroup) else None
        inner = group or inner.__cause__ or inner.__context__


def bare_host(text: str) -> str:
    """Return a host as the system takes it: an IPv6 address without its brackets, `[::1]` as `::1`."""
    host = text.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_in_url(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    bare = bare_host(host)
    return f"[{bare}]" if ":" in bare else bare


def tls_fault(error: BaseException) -> str:
    """`its certificate: self-signed certificate`; "" when TLS is not why."""
    faults = [cause for cause in causes(error) if isinstance(cause, ssl.SSLError)]
    if not faults:
        return ""
    found = faults[-1]  # libraries raise SSLErrors of their own, which lack what the system's knows
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"its certificate: {found.verify_message}"
    return f"TLS: {(getattr(found, 'reason', None) or str(found)).replace('_', ' ').lower()}"


def network_fault(error: BaseException) -> str:
    """`host not found`, `connection refused`; where no cause says more, what the error says itself."""
    found = tls_fault(error)
    if found:
        return found
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return "host not found"
        if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
            return os.strerror(cause.errno).lower()
        if isinstance(cause, TimeoutError):
            return "no answer in time"
    lost = any(isinstance(cause, ConnectionError) for cause in causes(error))
    return "connection lost" if lost else _own_words(error)


def _own_words(error: BaseException) -> str:
    """Return the first line of what an error says; what follows may be the bytes that a server sent."""
    said = str(getattr(error, "message", "") or error).strip()
    return said.split("\n")[0].rstrip(" :")[:_LONGEST] or type(error).__name__
