"""Log lines on stderr: text for people, JSON for machines. Everything else logs through `logging` by module name."""

import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.credentials import without_credentials

_KINDS = {"j": "job", "e": "execution", "n": "node"}
_ID = re.compile(r"\b([jen])-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")


class _Json(logging.Formatter):
    """One object a line. The first job, execution and node that its message names have keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": rfc3339(now_ns()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": (message := without_credentials(record.getMessage())),
        }
        for prefix, uuid in reversed(_ID.findall(message)):
            line[_KINDS[prefix]] = f"{prefix}-{uuid}"
        if record.exc_info:
            line["error"] = without_credentials(self.formatException(record.exc_info))
        return json.dumps(line)


class _Text(logging.Formatter):
    def __init__(self, show: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s.%(msecs)03d | %(levelname).4s | %(name)s | %(message)s", "%H:%M:%S")
        self._show = show

    def format(self, record: logging.LogRecord) -> str:
        return self._show(without_credentials(super().format(record)))


def set_up_logging(level: str, mode: str, show: Callable[[str], str]) -> None:
    """Log to stderr. `level` is debug, info, warn or error; `mode` is default (text) or json; `show` writes a text of
    strangers for a terminal.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if mode == "json" else _Text(show))
    logging.basicConfig(
        level={"warn": "WARNING", "trace": "DEBUG"}.get(level.lower(), level.upper()), handlers=[handler], force=True
    )
    for chatty in ("botocore", "aiohttp", "asyncio", "httpx", "httpcore", "urllib3", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("nats").setLevel(
        logging.CRITICAL
    )  # what ends a connection is told by our link; the library adds a traceback
    logging.getLogger("asyncio").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for what the event loop says whenever a TLS connection ends: nothing is wrong then."""
    return "eof_received() has no effect" not in str(record.msg)
