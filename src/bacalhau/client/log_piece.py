"""A piece of a log as readers get it, apart from the socket library that brings it."""

from typing import NamedTuple


class LogPiece(NamedTuple):
    """Text of one stream, 1 stdout or 2 stderr; `execution_id` is "" where the server does not say."""

    stream: int
    text: str
    execution_id: str
