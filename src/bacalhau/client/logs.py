"""A job's output as it comes, over the log socket. The only place that knows websockets."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from bacalhau.client.transport import PREFIX, Endpoint, unreachable
from bacalhau.lib.errors import BacalhauError, NotFound, Unavailable
from bacalhau.lib.wire import Model, always

STDOUT, STDERR = 1, 2
_OPEN_SECONDS = 15


class _Line(Model):
    type: int = always(factory=int)
    line: str = always(factory=str)


class _Frame(Model):
    value: _Line = msgspec.field(default_factory=_Line, name="value")
    error: str = msgspec.field(default="", name="error")


async def stream_logs(endpoint: Endpoint, job_id: str, query: Mapping[str, Any]) -> AsyncIterator[tuple[int, str]]:
    """(STDOUT or STDERR, text) until the end. Raises NotFound, Unavailable, or what the server says."""
    base = endpoint.url.rstrip("/")
    params = urlencode({k: "true" if v is True else v for k, v in query.items() if v})
    url = f"ws{base.removeprefix('http')}{PREFIX}/orchestrator/jobs/{quote(job_id, safe='')}/logs{'?' if params else ''}{params}"
    try:
        async with connect(url, additional_headers=dict(endpoint.headers), open_timeout=_OPEN_SECONDS, max_size=None) as socket:
            async for message in socket:
                yield _read(message)
    except ConnectionClosed as e:
        raise Unavailable(f"the connection to {base} was lost while reading the log", hint="run the command again") from e
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as e:
        raise unreachable(base, e) from e


def _read(message: str | bytes) -> tuple[int, str]:
    frame = msgspec.json.decode(message, type=_Frame)
    if frame.error:
        kind = NotFound if "not found" in frame.error or "unable to find" in frame.error else BacalhauError
        raise kind(frame.error)
    return frame.value.type, frame.value.line
