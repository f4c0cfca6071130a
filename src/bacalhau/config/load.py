"""Loading of settings from `-c` values, flags, environment, files and defaults, the strongest first.

All faults name key, value and origin.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bacalhau.config.foreign import is_of_original
from bacalhau.config.inert import check_inert, is_inert
from bacalhau.config.keys import Key, find_key, read_value
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.network import host_in_url
from bacalhau.lib.written import is_null, settled
from bacalhau.lib.yaml_text import read_text
from bacalhau.models.text.document import read_document

log = logging.getLogger(__name__)
_ALIASES = {
    "LOG_LEVEL": "Logging.Level",
    "BACALHAU_DIR": "DataDir",
    "BACALHAU_NODE_CLIENTAPI_HOST": "API.Host",
    "BACALHAU_NODE_CLIENTAPI_PORT": "API.Port",
}
_FILES = (".yaml", ".yml")


class Given(NamedTuple):
    """A setting as it was given, and by whom."""

    key: str
    value: Any
    origin: str


class Loaded(NamedTuple):
    """A configuration, the keys that somebody has set, such as `API.Port`, and the files that were read."""

    config: Config
    keys: frozenset[str]
    files: tuple[Path, ...] = ()


def load_config(overrides: list[str], env: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Load the configuration as `load_settings` does."""
    return load_settings(overrides, env, flags).config


def load_settings(overrides: list[str], env: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """The configuration from `-c` values, the environment and flags that were set (by key, such as `API.Port`).

    Raises BadRequest.

    Files are those named by `-c`, else `config.yaml` in the data directory when it is there.
    """
    paths = [text for text in overrides if text.lower().endswith(_FILES) and "=" not in text]
    values = _settled(_override(text) for text in overrides if text not in paths)
    given = _settled(Given(key, value, "flag") for key, value in flags.items() if value is not None)
    for key in values.keys() & given.keys():
        raise BadRequest(f'a flag and config flag key "{key}" cannot both be provided', hint="give one of them")
    strong = _settled(_from_environment(env)) | given | values
    home = _data_dir(str(strong.get("DataDir", Config().data_dir)), env)
    weak: dict[str, Any] = {}
    files = _files(paths, home)
    for path in files:
        weak |= _settled(_ours(_from_file(path)) if path.parent == Path(home) and not paths else _from_file(path))
    settings = weak | strong
    return Loaded(_assembled(settings, env), frozenset(settings), tuple(files))


def _ours(settings: list[Given]) -> list[Given]:
    """Leave out, with a warning, keys that are not ours where the original wrote the file: clients share its folder."""
    foreign = [given for given in settings if not isinstance(find_key(given.key), Key) and not is_inert(given.key)]
    if not foreign or not is_of_original(Path(foreign[0].origin).parent):
        return settings
    log.warning(
        "%s is of the original: %d of its keys mean nothing here, such as %s",
        foreign[0].origin,
        len(foreign),
        foreign[0].key,
    )
    return [given for given in settings if given not in foreign]


def _settled(settings: Iterable[Given]) -> dict[str, Any]:
    """Values by the key's own spelling, later ones winning; keys without effect are checked and left out."""
    found = {}
    for given in settings:
        key = find_key(given.key)
        if isinstance(key, Key):
            found[key.name] = read_value(key, given.value, given.origin)
        elif not check_inert(given.key, given.value):
            raise BadRequest(
                f"no matching config key. Run 'bacalhau config list' for a list of valid keys: {given.key} (from"
                f" {given.origin})"
            )
    return found


def _override(text: str) -> Given:
    name, equals, value = text.partition("=")
    if equals:
        return Given(name, value, "-c")
    key = find_key(name)
    if isinstance(key, Key) and key.kind is bool:
        return Given(name, "true", "-c")
    if os.path.exists(text):
        raise BadRequest(f"config files must end in suffix '.yaml' or '.yml': {text}")
    if isinstance(key, Key):
        raise BadRequest(
            "config flag key requires a value.",
            hint=f"To correct this provide a value to the config, e.g. --config {key.name}=<value>",
        )
    return Given(name, "true", "-c")


def _from_environment(env: Mapping[str, str]) -> list[Given]:
    """Variables that name a key, aliases first; others with the prefix belong to somebody else."""
    found = [Given(key, env[name], name) for name, key in _ALIASES.items() if env.get(name)]
    for name, value in env.items():
        key = name.removeprefix("BACALHAU_").replace("_", ".")
        if name.startswith("BACALHAU_") and name not in _ALIASES and value and _is_setting(key, value):
            found.append(Given(key, value, name))
    return found


def _is_setting(key: str, value: str) -> bool:
    return isinstance(find_key(key), Key) or check_inert(key, value)


def _files(paths: list[str], home: str) -> list[Path]:
    """The files named, all of which must be there; else the data directory's own, when it is."""
    for path in paths:
        if os.path.isdir(path):
            raise BadRequest(f"specified configuration file is a directory, must be a file: {path}")
        if not os.path.exists(path):
            raise BadRequest(f"specified configuration file doesn't exist: {path}")
    own = Path(home) / "config.yaml"
    return [Path(path) for path in paths] or ([own] if os.path.isfile(own) else [])


def _from_file(path: Path) -> list[Given]:
    try:
        tree, notes = read_document(read_text(path))
    except BadRequest as e:
        raise BadRequest(f"cannot read the configuration file {path}: {e.message}", hint=e.hint) from e
    except OSError as e:
        raise BadRequest(f"cannot read the configuration file {path}: {(e.strerror or str(e)).lower()}") from e
    for note in notes:
        log.warning("configuration file %s: %s", path, note)
    tree = None if is_null(tree) else tree
    if tree is not None and not isinstance(tree, dict):
        kind = type(settled(tree, Any)).__name__
        raise BadRequest(f"the configuration file {path} must hold keys and values, found a {kind}")
    return list(_flat(tree or {}, "", str(path)))


def _flat(tree: Mapping[Any, Any], prefix: str, origin: str) -> Iterable[Given]:
    """Leaves of the tree. A map that is itself a value, such as Labels, is a leaf; null is not given."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        found = find_key(key)
        if isinstance(value, dict) and not isinstance(found, Key) and not is_inert(key):
            yield from _flat(value, f"{key}.", origin)
        elif not is_null(value):
            yield Given(key, settled(value, found.kind if isinstance(found, Key) else Any), origin)


def _assembled(settings: Mapping[str, Any], env: Mapping[str, str]) -> Config:
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split(".")
        here = tree
        for part in path:
            here = here.setdefault(part, {})
        here[name] = value
    config = msgspec.convert(tree, Config)
    return msgspec.structs.replace(config, data_dir=_data_dir(config.data_dir, env))


def _data_dir(text: str, env: Mapping[str, str]) -> str:
    """Absolute, `~` being the user's home. Raises BadRequest when a variable was left in it."""
    home = env.get("HOME") or os.path.expanduser("~")
    path = home + text[1:] if text == "~" or text.startswith("~/") else text
    if "$" in path:
        raise BadRequest(
            f'config key: "DataDir" must not hold "$": {text}',
            hint="write the directory out; variables are not expanded here",
        )
    return os.path.abspath(path)


def client_endpoint(config: Config) -> str:
    """The URL of the API without a final slash; an address that means all interfaces is called on loopback."""
    host = config.api.host.strip().rstrip("/")
    scheme, mark, rest = host.partition("://")
    if not mark:
        scheme, rest = "http", host
    if scheme.lower() not in ("http", "https"):
        raise BadRequest(f'config key: "API.Host" expects a host or an http(s) URL, received: "{config.api.host}"')
    name, path = rest.partition("/")[::2]
    bare, port = _host_and_port(name)
    shown = "127.0.0.1" if bare in ("", "0.0.0.0", "::") else host_in_url(bare)
    return f"{scheme.lower()}://{shown}:{port or config.api.port}{'/' + path if path else ''}"


def _host_and_port(text: str) -> tuple[str, str]:
    """`[::1]:80` → `::1`, `80`; a bare IPv6 address has no port."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and ":" not in host else (text, "")
