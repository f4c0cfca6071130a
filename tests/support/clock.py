"""An event loop whose time passes at once: a pause ends as soon as nothing else is left to do."""

import asyncio
import selectors


class _Leaping(selectors.DefaultSelector):
    """Does not wait, but tells its loop how long it would have."""

    def __init__(self):
        super().__init__()
        self.waited = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is not None:
            self.waited += timeout
        return found


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self):
        return super().time() + self._leaping.waited
