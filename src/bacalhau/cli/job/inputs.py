"""The inputs of a job in an explanation: what they hold, how they are shared out, and what a retry costs."""

from collections.abc import Sequence
from typing import NamedTuple

from bacalhau.cli.output.table import Column
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.inventory import Share, Shares
from bacalhau.models.wire.api import ExplainJobResponse
from bacalhau.models.wire.messages import InputAnswer


class Row(NamedTuple):
    """A share as a row of a table, under a name of its own."""

    name: str
    share: Share


_ALWAYS = (
    Column("target", lambda found: found.target),
    Column("type", lambda found: found.type),
    Column("objects", lambda found: "" if found.error else f"{found.objects:,}{'+' * found.is_cut}"),
    Column("size", lambda found: "" if found.error else f"{show_bytes(found.bytes)}{'+' * found.is_cut}"),
)
_WHERE_KNOWN = (
    Column("read as", lambda found: found.identity, 40),
    Column("region", lambda found: found.region),
    Column("first keys", lambda found: "\n".join(found.first_keys), 80),
    Column("error", lambda found: found.error, 60),
)
SHARE_COLUMNS = (
    Column("partition", lambda row: row.name),
    Column("objects", lambda row: f"{row.share.objects:,}"),
    Column("size", lambda row: show_bytes(row.share.bytes)),
    Column("first key", lambda row: "".join(row.share.first_keys[:1]), 80),
)


def input_columns(inputs: Sequence[InputAnswer]) -> Sequence[Column]:
    """Choose the columns of the table of inputs: those that would be empty are left out."""
    return (*_ALWAYS, *(column for column in _WHERE_KNOWN if any(map(column.cell, inputs))))


def list_shares(shares: Shares | None) -> list[Row]:
    """List the first shares, the largest and the smallest; none where nothing is shared out."""
    if shares is None:
        return []
    rows = [Row(str(share.partition_index), share) for share in shares.first]
    if shares.partitions > len(rows):
        rows += [
            Row(f"{share.partition_index} ({name})", share)
            for name, share in (("largest", shares.largest), ("smallest", shares.smallest))
        ]
    return rows


def title_shares(shares: Shares | None) -> str:
    """Write the title of the table of shares."""
    if shares is None or shares.partitions <= len(shares.first):
        return "Shares"
    return f"Shares (the first {len(shares.first)} of {shares.partitions:,}, the largest and the smallest)"


def tell_inputs(answer: ExplainJobResponse) -> list[tuple[str, str]]:
    """Say in a line each how many partitions the inputs make, how even the shares are, what a retry costs, and whether
    the listing was cut off.
    """
    failed = [each for each in answer.inputs if each.error]
    found = [("Input Fails", f"{each.target}: {each.error}") for each in failed]
    found += [("Hint", each.hint) for each in failed[-1:] if each.hint]
    if answer.count:
        cut = " at least, the listing was cut off" if answer.count_is_cut else ""
        found.append(("Count", f"auto: {answer.count:,} partitions{cut}"))
    found += [("Shares", _tell_shares(answer.shares))] if answer.shares else []
    if answer.retry_bytes:
        found.append(
            ("Retry Cost", f"{show_bytes(answer.retry_bytes)} to fetch again{' at most' * bool(answer.shares)}")
        )
    some = [each for each in answer.inputs if each.is_cut]
    if some:
        listed = ", ".join(f"the first {each.objects:,} objects of {each.target}" for each in some)
        found.append(("Preview", f"only {listed} were listed: there are more"))
    return found


def _tell_shares(shares: Shares) -> str:
    mean = shares.bytes / shares.partitions
    even = f", the largest {shares.largest.bytes / mean:.2f} × the mean of {show_bytes(int(mean))}" if mean else ""
    return f"{shares.partitions:,}{even}"
