"""The port of probes: programs of the administrator that decide whether a node takes a job."""

from typing import Protocol


class Probe(Protocol):
    """A program that is asked once per execution, before anything is prepared."""

    async def ask(self, job: bytes) -> str:
        """Say why the job, `{"Job": …}` as JSON, is refused; "" when it is taken.

        A probe that fails refuses: it answers within bounded time.
        """
        ...
