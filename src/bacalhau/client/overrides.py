"""The flags of a command line that name the server. They stand in a module of their own, because `--help` must not load
the code that uses them.
"""

from typing import NamedTuple


class Overrides(NamedTuple):
    """`config` holds the values of `-c` in order: files and `Key.Path=value`. None: not given."""

    config: tuple[str, ...] = ()
    api_host: str | None = None
    api_port: int | None = None
    data_dir: str | None = None
    profile: str | None = None
    tls: bool = False
    insecure: bool | None = None
    cacert: str | None = None

    @property
    def names_server(self) -> bool:
        """Tell whether the line itself says where the server is."""
        keys = (text.partition("=")[0].strip().lower() for text in self.config)
        return (
            self.api_host is not None
            or self.api_port is not None
            or any(key in ("api.host", "api.port") for key in keys)
        )


NO_OVERRIDES = Overrides()
