"""Quantities as users write them: CPU in cores or millicores, bytes with decimal or binary suffixes, Go durations."""

import math
import re
from functools import lru_cache

_BYTES = {"": 1, "b": 1}
for _i, _letter in enumerate("kmgtpe", start=1):
    _BYTES[_letter] = _BYTES[_letter + "b"] = 1000**_i
    _BYTES[_letter + "i"] = _BYTES[_letter + "ib"] = 1024**_i

_LONGEST = 2**63 / 1e9  # seconds: what the 64 bits of nanoseconds hold that Go reads a duration into
MAX_SECONDS = int(_LONGEST)

_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([a-z]*)$")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


# The same few amounts stand in thousands of jobs.
_remembered = lru_cache(1024)


@_remembered
def parse_cpu(text: str) -> float:
    """`0.5` or `500m` → cores. Raises ValueError."""
    clean = text.strip().lower().replace(" ", "")
    value = float(clean[:-1]) / 1000 if clean.endswith("m") else float(clean)
    if not 0 <= value < 1e6:
        raise ValueError(text)
    return value


@_remembered
def parse_bytes(text: str) -> int:
    """`512Mb` → 512,000,000; `1Gi` → 1,073,741,824; no unit is bytes. Raises ValueError."""
    match = _QUANTITY.match(text.strip().lower().replace(" ", ""))
    if not match or match[2] not in _BYTES:
        raise ValueError(text)
    value = float(match[1]) * _BYTES[match[2]]
    if value >= 2**63:
        raise ValueError(text)
    return int(value)


@_remembered
def parse_count(text: str) -> int:
    """A number of things, such as GPUs. Raises ValueError."""
    clean = text.strip()
    if not (clean.isascii() and clean.isdigit() and len(clean) < 10):
        raise ValueError(text)
    return int(clean)


def parse_duration(text: str) -> float:
    """Go's `1h2m3.5s` → seconds. Raises ValueError."""
    clean = text.strip()
    if clean in ("0", ""):
        return 0.0
    parts = _DURATION.findall(clean)
    if "".join(a + b for a, b in parts) != clean:
        raise ValueError(text)
    seconds = sum(float(a) * _SECONDS[b] for a, b in parts)
    if seconds >= _LONGEST:
        raise ValueError(text)
    return seconds


def show_bytes(count: float) -> str:
    """Powers of 1000, as `7.5 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def show_duration(seconds: float) -> str:
    """Seconds as Go writes them: `1h2m3.5s`, `250ms`, `0s`; `inf` and `nan` as they are, which a file may say."""
    if not math.isfinite(seconds):
        return str(seconds)
    nanos = abs(round(seconds * 1e9))
    sign = "-" if seconds < 0 else ""
    if nanos < 1_000_000_000:
        unit, size = ("ms", 1e6) if nanos >= 1_000_000 else ("µs", 1e3) if nanos >= 1000 else ("ns", 1)
        return f"{sign}{nanos / size:g}{unit}" if nanos else "0s"
    minutes, rest = divmod(nanos, 60_000_000_000)
    text = f"{rest / 1e9:.9f}".rstrip("0").rstrip(".") + "s"
    if minutes:
        text = f"{minutes % 60}m{text}"
    return f"{sign}{minutes // 60}h{text}" if minutes >= 60 else sign + text
