"""The rule which jobs are too large for a message.

Nodes of this program fetch such jobs by reference. Nodes of other makes cannot, so they are no candidates for them.
"""

from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import encode, go_escaped
from bacalhau.models.job.job import Job
from bacalhau.models.node.node import NodeState

MOST = 1_000_000  # bytes of a job as sent; a message server takes 1 MiB, in which its execution has room, too
WORST = 6  # times as many bytes as a job has may be sent, where all must be escaped

REMEMBERED = 1000  # jobs whose size is known

_sizes: dict[tuple[str, int, int], int] = {}  # by job, version and the identity of its tasks


def is_large(job: Job) -> bool:
    """Tell whether no message holds a job. Its size is found once, whatever becomes of the job meanwhile."""
    key = (job.id, job.version, id(job.tasks))
    size = _sizes.get(key)
    if size is None:
        if len(_sizes) >= REMEMBERED:
            del _sizes[next(iter(_sizes))]
        size = _sizes[key] = _size_of(job)
    return size > MOST


def list_size_objections(is_too_large: bool, node: NodeState) -> list[str]:
    """List why a node cannot take a job because of its size; empty when it can."""
    if node.native or not is_too_large:
        return []
    return [f"takes no job above {show_bytes(MOST)}: it runs another program, which cannot fetch large jobs"]


def _size_of(job: Job) -> int:
    body = encode(job.specification)
    return len(go_escaped(body)) if len(body) * WORST > MOST else len(body)
