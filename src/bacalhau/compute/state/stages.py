"""The time and the bytes that the stages of executions took on this node since the process began."""

from collections import Counter

from bacalhau.lib.meter import Histogram

STAGES = ("staging", "running", "publishing")
SECOND = 1_000_000_000
SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0)


class Stages:
    """`seconds` of each stage that ended well; `bytes` that were read as inputs and written as results."""

    def __init__(self) -> None:
        self.seconds = {name: Histogram(SECONDS) for name in STAGES}
        self.bytes: Counter[str] = Counter()

    def note(self, name: str, began: int, ended: int) -> None:
        """Take in a stage that lasted from `began` to `ended`, Unix ns."""
        self.seconds[name].note((ended - began) / SECOND)
