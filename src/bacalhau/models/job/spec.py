"""`{Type, Params}`: how jobs name an engine, a source or a publisher without knowing it."""

from typing import Any

from bacalhau.lib.wire import Model, always


class SpecConfig(Model):
    """`params` stay a dict until the plug-in of that type converts them."""

    type: str = always(factory=str)
    params: dict[str, Any] | None = None

    def is_type(self, *names: str) -> bool:
        return self.type.strip().lower() in names
