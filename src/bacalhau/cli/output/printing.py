"""Printing of jobs' output: byte for byte, or line by line behind the name of its execution where several print at
once.
"""

import sys

from bacalhau.border.names import shown
from bacalhau.client.log_piece import LogPiece
from bacalhau.lib.ids import short_id
from bacalhau.models.job.job import Job


def has_several(job: Job) -> bool:
    """Tell whether more than one execution of the job may print at a time."""
    return job.wanted > 1 or job.type in ("ops", "daemon")


class LogPrinter:
    """`apart`: stderr goes to stderr, else everything to stdout. `named`: each line says whose it is."""

    def __init__(self, *, apart: bool, named: bool) -> None:
        self._apart = apart
        self._named = named
        self._begun: dict[tuple[str, int], str] = {}

    def print(self, piece: LogPiece) -> bool:
        """Print a piece; tell whether the last line on the terminal has ended."""
        if not self._named:
            self._write(piece.stream, piece.text)
            return piece.text.endswith("\n")
        # Lines of several executions must not run into one another: a line is printed when it is whole.
        key = (piece.execution_id, piece.stream)
        *lines, rest = (self._begun.pop(key, "") + piece.text).split("\n")
        if rest:
            self._begun[key] = rest
        if lines:
            self._write(piece.stream, "".join(f"[{shown(short_id(piece.execution_id))}] {line}\n" for line in lines))
        return True

    def close(self) -> None:
        """Print the lines that never ended."""
        for (execution_id, stream), line in self._begun.items():
            self._write(stream, f"[{shown(short_id(execution_id))}] {line}\n")
        self._begun.clear()

    def _write(self, stream: int, text: str) -> None:
        out = sys.stderr if self._apart and stream == 2 else sys.stdout
        out.write(text)
        out.flush()
