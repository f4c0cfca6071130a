"""Counts of what was submitted, placed and ended since this process began."""

from collections import Counter
from collections.abc import Iterable

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change


class Tally:
    """`jobs` and `executions` are those that have ended, by the name of their state."""

    def __init__(self) -> None:
        self.submitted = self.placed = 0
        self.jobs: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()

    def note(self, change: Change) -> None:
        """Count the jobs and the new executions of a change that is stored."""
        self.submitted += len(change.new_jobs)
        for job in change.jobs:
            if job.is_done:
                self.jobs[job.state.state_type.value] += 1
        for execution in change.new_executions:
            self.placed += execution.is_live

    def note_ends(self, executions: Iterable[Execution]) -> None:
        """Count executions that have just ended."""
        for execution in executions:
            self.executions[execution.compute_state.state_type.label] += 1
