"""`config list` and `config set`: what is set, from wherever it comes, and writing one setting to a file after it has
been checked.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.flags import Table
from bacalhau.cli.output.render import json_text, show_items
from bacalhau.cli.output.table import Column
from bacalhau.cli.output.yaml import yaml_text
from bacalhau.client.private_file import write_private
from bacalhau.config.inert import check_inert, list_inert
from bacalhau.config.keys import MASK, Key, Row, config_rows, find_key, read_value, tree_of
from bacalhau.config.load import load_config
from bacalhau.config.schema import Config
from bacalhau.config.section import Seconds
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import show_duration
from bacalhau.lib.written import settled
from bacalhau.lib.yaml_text import read_text
from bacalhau.models.text.document import read_document

_COLUMNS = (
    Column("key", lambda row: row.key),
    Column("value", lambda row: _text(row.value), 80),
    Column("description", lambda row: row.description, 80),
)


def list_config(call: Call[Table]) -> int:
    as_file = call.flags.output == "yaml"
    rows = sorted(
        [*config_rows(_config(call), blank="" if as_file else MASK), *(Row(*row) for row in list_inert())],
        key=lambda row: row.key,
    )
    if call.flags.output == "json":
        say(json_text([{"Key": r.key, "Value": r.value, "Description": r.description} for r in rows], pretty=True))
    elif as_file:
        say(yaml_text(tree_of(rows)), nl=False)
    else:
        show_items(call.flags, _COLUMNS, rows)
    return 0


def _text(value: Any) -> str:
    if isinstance(value, dict | list) and any(
        isinstance(inner, dict | list) for inner in (value.values() if isinstance(value, dict) else value)
    ):
        return json_text(value)
    if isinstance(value, dict | list):
        return ",".join(f"{k}={value[k]}" for k in value) if isinstance(value, dict) else ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def set_config(call: Call[Flags]) -> int:
    name, value = _setting(call.args)
    if len(call.args) == 2:
        say("DEPRECATED: use key=value instead of space-separated key value", err=True)
    path = _target(call)
    tree = _read(path)
    _put(tree, name.split("."), value)
    say(f"Writing config to {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, yaml_text(tree), as_open=True)
    return 0


def _setting(args: list[str]) -> tuple[str, Any]:
    """Key in its own spelling and value as a file holds it. Raises BadRequest before anything is written."""
    name, equals, text = args[0].partition("=") if len(args) == 1 else (args[0], "=", args[1])
    if not equals:
        raise BadRequest("must provide both key and value, or key=value")
    key = find_key(name)
    if isinstance(key, Key):
        value = read_value(key, text, "command line")
        return key.name, show_duration(value) if key.kind is Seconds else msgspec.to_builtins(value)
    if key is None and not check_inert(name, text):
        raise BadRequest(f'"{name}" is not a valid config key', hint="`bacalhau config list` lists them")
    if key is not None:
        raise BadRequest(
            f'"{name}" holds other keys and has no value of its own', hint="`bacalhau config list` lists them"
        )
    say_warning(f"{name} has no effect in this implementation")
    return name, text


def _target(call: Call[Flags]) -> Path:
    files = call.settings.config
    if len(files) > 1 or any("=" in f or not f.endswith((".yaml", ".yml")) for f in files):
        raise BadRequest("config set takes one -c, the file to write", hint="name a file ending in .yaml or .yml")
    return Path(files[0]) if files else Path(_config(call).data_dir) / "config.yaml"


def _config(call: Call[Flags]) -> Config:
    given = call.settings
    return load_config(
        list(given.config),
        os.environ,
        {"API.Host": given.api_host, "API.Port": given.api_port, "DataDir": given.data_dir},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = settled(read_document(read_text(path))[0], Any)
    except FileNotFoundError:
        return {}
    except BadRequest as e:
        raise BadRequest(f"cannot read the configuration file {path}: {e.message}", hint=e.hint) from e
    if tree is not None and not isinstance(tree, dict):
        raise BadRequest(
            f"the configuration file {path} must hold keys and values", hint="empty or remove it; nothing was changed"
        )
    return tree or {}


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """Keys in a file may have any case: the one that is there is kept."""
    found = next((key for key in tree if str(key).lower() == path[0].lower()), path[0])
    if len(path) == 1:
        tree[found] = value
        return
    inner = tree.get(found)
    if not isinstance(inner, dict):
        inner = tree[found] = {}
    _put(inner, path[1:], value)
