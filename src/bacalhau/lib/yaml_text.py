"""YAML of others, read in one way, which has one error. The library is loaded when there is something to read."""

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import MAX_DEPTH

MAX_VALUES = 5_000_000  # counted as if every alias were written out; a job of 64 MB has fewer


# The library raises these, with words about itself, for a value that is not of the type of its tag: `!!timestamp x`.
_MISTAGGED = (AttributeError, LookupError, TypeError, OverflowError)


def safe_loader(yaml: Any) -> Any:
    """Return the quicker of the library's safe loaders, the one in C where it is there."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path) -> str:
    """Read a file of people. Raises BadRequest for what is not UTF-8, and OSError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadRequest(f"broken YAML: it is no UTF-8 text ({e.reason})") from e


def load_yaml(text: str | bytes, loader: Callable[[Any], Any] = safe_loader) -> Any:
    """Read one document. Raises BadRequest with the place of what is broken, also for numbers and dates that cannot be,
    for nesting that is too deep, and for aliases that stand for too much.
    """
    yaml = import_module("yaml")
    kind = loader(yaml)
    try:
        _weigh_events(yaml, yaml.parse(text, Loader=kind))
        return yaml.load(text, Loader=kind)
    except (yaml.YAMLError, ValueError, *_MISTAGGED) as e:
        raise broken_yaml(e) from e


def load_first(text: str, loader: Callable[[Any], Any]) -> tuple[Any, int]:
    """Read the first document, and return with it the line at which another begins, 0 where there is none.

    Raises BadRequest as `load_yaml` does, but not for what is broken behind the first document.
    """
    yaml = import_module("yaml")
    kind = loader(yaml)
    events = yaml.parse(text, Loader=kind)
    try:
        _weigh_events(yaml, takewhile(lambda event: not isinstance(event, yaml.DocumentEndEvent), events))
        reader = kind(text)
        try:
            tree = reader.get_data() if reader.check_data() else None
        finally:
            reader.dispose()
    except (yaml.YAMLError, ValueError, *_MISTAGGED) as e:
        raise broken_yaml(e) from e
    return tree, _next_line(yaml, events)


def _next_line(yaml: Any, events: Iterator[Any]) -> int:
    try:
        following: Any = next(events, None)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        return mark.line + 1 if mark else 1
    ends = following is None or isinstance(following, yaml.StreamEndEvent)
    return 0 if ends else following.start_mark.line + 1


def _weigh_events(yaml: Any, events: Iterator[Any]) -> None:
    """Count depth and values before anything is made of them, because the library goes down by recursion, in C until
    the process dies, and writes out merged maps. `sizes` are those of what has an anchor, None while it is open.
    """
    sizes: dict[str, int | None] = {}
    parts: list[tuple[str | None, int]] = [(None, 0)]
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            sizes |= {event.anchor: None} if event.anchor else {}
            parts.append((event.anchor, 1))
            if len(parts) > MAX_DEPTH + 2:
                raise too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            _add(parts, sizes, *parts.pop())
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 1)
            if size is None:
                raise too_deep()
            _add(parts, sizes, None, size)
        elif isinstance(event, yaml.ScalarEvent):
            _add(parts, sizes, event.anchor, 1)


def _add(parts: list[tuple[str | None, int]], sizes: dict[str, int | None], anchor: str | None, size: int) -> None:
    """Note the size of a finished part, and add it to the part that it stands in. Raises BadRequest."""
    if anchor:
        sizes[anchor] = size
    outer, count = parts.pop()
    if count + size > MAX_VALUES:
        raise _too_large()
    parts.append((outer, count + size))


def broken_yaml(error: Exception) -> BadRequest:
    """Make the error `broken YAML at line 2, column 1: …`, lines and columns counted from 1."""
    if isinstance(error, _MISTAGGED):
        return BadRequest("broken YAML: a value is not of the type that its tag names", hint="leave the !!tag out")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    told = getattr(error, "problem", None) or getattr(error, "context", None) or " ".join(str(error).split())
    return BadRequest(f"broken YAML{where}: {told}")


def too_deep() -> BadRequest:
    return BadRequest(
        f"the file is nested too deeply: more than {MAX_DEPTH} levels",
        hint="an alias must not stand inside what it names",
    )


def _too_large() -> BadRequest:
    return BadRequest(f"aliases make more than {MAX_VALUES:,} values of the file", hint="write out what is meant")
