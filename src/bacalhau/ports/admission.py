"""Who decides with the administrator's own words whether a node takes a job."""

from typing import Protocol


class Probe(Protocol):
    """Asked once per execution, before anything is prepared."""

    async def ask(self, job: bytes) -> str:
        """Why the job, `{"Job": …}` as JSON, is refused; "" when it is taken.

        A probe that fails refuses: it answers within bounded time.
        """
        ...
