"""The page of all settings, made from the schema of the configuration."""

import json
from collections.abc import Iterable
from itertools import groupby

from bacalhau.config.inert import HARMLESS, REFUSED
from bacalhau.config.keys import Row, config_rows
from bacalhau.config.schema import Config
from generate.tables import code, marked, table

HEAD = """# Configuration

This page is made from the schema of the configuration. `bacalhau config list` shows the same keys with the values of your machine.

A setting is given, the later one wins, in `config.yaml` in the data directory, in a file named with `-c FILE`, in a variable
(`Compute.Cache.Size` is `BACALHAU_COMPUTE_CACHE_SIZE`), or with `-c Key=value`. Keys may be written in any case. Durations are written as
`30s`, `1m30s` or `2h`, sizes as `2Gb` (decimal) or `2Gi` (binary). `bacalhau config set KEY=VALUE` writes to the file.

"""


def page() -> str:
    """Return the page: a table for each part of the configuration."""
    rows = config_rows(Config())
    parts = [_section(name, list(found)) for name, found in groupby(rows, key=_part)]
    return HEAD + "\n".join(parts) + _tail()


def _part(row: Row) -> str:
    path = row.key.split(".")
    return ".".join(path[: 2 if len(path) > 2 else 1])


def _section(name: str, rows: Iterable[Row]) -> str:
    lines = [(marked(row.key), code(_shown(row.value)), row.description) for row in rows]
    return f"## {name}\n\n{table(['key', 'default', 'meaning'], lines)}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value) if value not in ([], {}, None) else ""


def _tail() -> str:
    return (
        "\n## Keys of the original without effect\n\nThese keys are accepted, and change nothing here: "
        + ", ".join(code(key) for key in sorted(HARMLESS.values()))
        + ".\n\nThese are refused when they are set, because they promise what is not there: "
        + ", ".join(code(key) for key in sorted(REFUSED.values()))
        + ".\n"
    )
