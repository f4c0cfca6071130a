"""The number up to which all messages of a sender are durable, while several are handled at once."""


class Numbers:
    """The numbers of one sender's messages. A sender that resumes after `latest` loses nothing; 0 is the beginning."""

    def __init__(self) -> None:
        self.latest = 0
        self._pending: set[int] = set()

    def begin(self, number: int) -> None:
        """Note that a message is being handled. Until it is done, `latest` stays below its number."""
        if number:
            self._pending.add(number)

    def done(self, number: int) -> None:
        """Note that a message is durable. One that was only begun is sent again, and then done."""
        if number:
            self._pending.discard(number)
            self.latest = min([number, *(pending - 1 for pending in self._pending)])

    def resume(self) -> None:
        """Forget what was only begun: the sender was told `latest` and sends again what follows it."""
        self._pending.clear()
