"""Checks the pages that nodes answer when they are asked what an input holds, before anything is kept of them.

A node may be broken or lie. Whatever it answers must end the job that asked, and never the orchestrator.
"""

from collections.abc import Sequence

from bacalhau.border.names import shorten
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.inventory import Row, unpack_rows
from bacalhau.models.wire.messages import ListInputResponse, ResolveInputsResponse

SHARINGS = ("whole", "owner", "bytes", "count")
MOST_BYTES = 1 << 60  # of one input: sums of several stay within the 63 bits of a database
MOST_PLACES = 100_000  # pages of one input that are known and not read yet; a source names at most 256 with a page


def read_page(answer: ListInputResponse, count: int) -> list[Row]:
    """Read the objects of a page, for `count` partitions (0: the job is not divided). Raises BadRequest for a page that
    no source gives.
    """
    rows = unpack_rows(answer.page)
    if answer.sharing not in SHARINGS:
        raise BadRequest(f"a page of an input is shared out by {shorten(answer.sharing)!r}, which is no way to do that")
    if answer.marks and len(answer.marks) != len(rows):
        raise BadRequest(f"a page of an input has {len(rows)} objects and {len(answer.marks)} marks")
    for row in rows:
        if not 0 <= row.part < max(count, 1):
            raise BadRequest(f"object {shorten(row.key)!r} is of partition {row.part}, and there are {count}")
        if not -1 <= row.size <= MOST_BYTES:
            raise BadRequest(f"object {shorten(row.key)!r} has {row.size} bytes, which no object has")
    return rows


def require_bounds(size: int, places: Sequence[object]) -> None:
    """Raise BadRequest for more bytes, or more pages that wait, than an input can have."""
    if size > MOST_BYTES:
        raise BadRequest(f"an input of {size} bytes is more than there can be")
    if len(places) > MOST_PLACES:
        raise BadRequest(f"an input of which {len(places):,} pages are still to be read is no listing")


def find_error(answer: ResolveInputsResponse) -> tuple[str, str]:
    """Return the error of the one input that was asked for, and the hint; "" where it has none. Raises BadRequest where
    the answer is not about one input.
    """
    if len(answer.inputs) != 1:
        raise BadRequest(f"a question about one input was answered for {len(answer.inputs)}")
    return answer.inputs[0].error, answer.inputs[0].hint
