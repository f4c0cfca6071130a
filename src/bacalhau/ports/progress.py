"""The port of progress: a long operation reports how far it is."""

from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """`stage` of pulling, staging, publishing, downloading…; objects done of total, bytes done of total (0:
    unknown).

    `note` is what the stage waits for just now, as in "the store answers 503, again in 8 s"; "" while it goes on.
    """

    stage: str
    done: int = 0
    total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    note: str = ""


Report = Callable[[Step], None]
"""Called often from the event loop; must return at once. Receivers thin out what they pass on."""


def ignore(step: Step) -> None:
    """The Report of those who do not care."""


def beside(report: Report, done: int, size: int) -> Report:
    """Make a Report that adds what was there from the beginning: `done` objects of `size` bytes."""

    def tell(step: Step) -> None:
        report(
            step._replace(
                done=step.done + done,
                total=step.total + done,
                bytes_done=step.bytes_done + size,
                bytes_total=step.bytes_total + size,
            )
        )

    return tell
