"""Jobs, executions, nodes and results as notebooks show them: a table, with every text of others escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from bacalhau.lib import wire
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeState

T = TypeVar("T")
Columns = Mapping[str, Callable[[Any], object]]
MOST = 100  # rows of one table

_COLUMNS: dict[type, Columns] = {
    Job: {
        "job": lambda job: job.id,
        "name": lambda job: job.name,
        "type": lambda job: job.type,
        "state": lambda job: job.state.state_type.value,
        "message": lambda job: job.state.message,
    },
    Execution: {
        "execution": lambda e: short_id(e.id),
        "node": lambda e: short_id(e.node_id),
        "partition": lambda e: e.partition_index,
        "state": lambda e: e.state.label,
        "message": lambda e: e.compute_state.message,
    },
    NodeState: {
        "node": lambda node: node.info.node_id,
        "type": lambda node: node.info.node_type,
        "approval": lambda node: node.membership,
        "status": lambda node: node.connection,
    },
    SpecConfig: {"type": lambda spec: spec.type, "where": lambda spec: wire.encode(spec.params or {}).decode()},
}


class Rows(tuple[T, ...]):
    """A tuple that notebooks show as a table of at most 100 rows."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return show_table(self)


def show_table(items: Sequence[object]) -> str:
    """Write a table of items of one kind as HTML."""
    if not items:
        return "<em>none</em>"
    columns = _COLUMNS.get(type(items[0]), {"": str})
    more = f"<p>… and {len(items) - MOST} more</p>" if len(items) > MOST else ""
    body = "".join(_row("td", (read(item) for read in columns.values())) for item in items[:MOST])
    return f"<table><thead>{_row('th', columns)}</thead><tbody>{body}</tbody></table>{more}"


def _row(cell: str, values: Iterable[object]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(str(value))}</{cell}>" for value in values) + "</tr>"
