"""The network that a task may use."""

from enum import StrEnum

from bacalhau.lib.wire import Model, always


class NetworkType(StrEnum):
    DEFAULT = "Default"
    NONE = "None"
    HOST = "Host"
    FULL = "Full"
    HTTP = "HTTP"
    BRIDGE = "Bridge"

    @classmethod
    def parse(cls, text: str) -> "NetworkType | None":
        """Read a type in any case. The empty text is Default; None when unknown."""
        return _BY_NAME.get((text or "default").strip().lower())


_BY_NAME = {kind.value.lower(): kind for kind in NetworkType}


class PortMapping(Model):
    name: str = always(factory=str)
    static: int = 0
    target: int = 0
    host_network: str = ""


class NetworkConfig(Model):
    """`type` is kept as text so that every problem of a job can be listed; see `NetworkType.parse`."""

    type: str = always(factory=lambda: "Default")
    domains: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()

    def kind(self) -> NetworkType:
        return NetworkType.parse(self.type) or NetworkType.DEFAULT
