"""What a command line says about the server. Apart from the rest, because `--help` must not load what uses it."""

from typing import NamedTuple


class Overrides(NamedTuple):
    """`config` holds the values of `-c` in order: files and `Key.Path=value`. None: not given."""

    config: tuple[str, ...] = ()
    api_host: str | None = None
    api_port: int | None = None
    data_dir: str | None = None
    tls: bool = False


NO_OVERRIDES = Overrides()
