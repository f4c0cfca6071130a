"""The hook of MkDocs that adds the pages of the reference that are made from code, so that they cannot lie."""

from collections.abc import Callable

from generate import api, commands, errors, events, settings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/configuration.md": settings.page,
    "reference/api.md": api.page,
    "reference/errors.md": errors.page,
    "reference/events.md": events.page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to those of docs/."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
