"""YAML as the original writes it. Apart from `render`, because loading the library takes longer than
printing a table.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from bacalhau.border.names import escaped


def yaml_text(value: Any) -> str:
    """Keys sorted; texts that would read as something else in double quotes."""
    text: str = yaml.dump(
        msgspec.to_builtins(value), Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=float("inf")
    )
    return escaped(text)


class _Dumper(yaml.SafeDumper):
    """The quoting of the original."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _draw_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    if escaped(text) != text:
        return dumper.represent_scalar(tag, text, style='"')
    if "\n" in text:
        return dumper.represent_scalar(tag, text, style="|")
    resolve: Callable[..., str] = dumper.resolve
    reads_as = resolve(yaml.ScalarNode, text, (True, False))
    return dumper.represent_scalar(tag, text, style='"' if reads_as != tag else None)


_Dumper.add_representer(str, _draw_text)
