"""The quotas of namespaces as they are configured."""

from collections.abc import Callable, Mapping
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_bytes, parse_count, parse_cpu
from bacalhau.orchestrator.scheduling.quotas import Quota

KEY = "Orchestrator.Scheduler.Quotas"
_PARSERS: Mapping[str, Callable[[str], float]] = {
    "cpu": parse_cpu,
    "memory": parse_bytes,
    "gpu": parse_count,
    "executions": parse_count,
}


def read_quotas(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Quota]:
    """Read the quota of each namespace. Raises BadRequest that names the key and the value."""
    return {namespace: Quota(**_read(f"{KEY}.{namespace}", limits)) for namespace, limits in given.items()}


def _read(key: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in limits.items():
        parse = _PARSERS.get(name.lower())
        if parse is None:
            raise BadRequest(f"{key}.{name} is not known", hint="known are CPU, Memory, GPU and Executions")
        try:
            if isinstance(value, bool):
                raise ValueError(value)
            found[name.lower()] = parse(str(value))
        except ValueError as e:
            hint = 'write it as in {"team-a": {"CPU": 8, "Memory": "16Gb", "GPU": 2, "Executions": 100}}'
            raise BadRequest(f"{key}.{name}: {value!r} is not an amount", hint=hint) from e
    return found
