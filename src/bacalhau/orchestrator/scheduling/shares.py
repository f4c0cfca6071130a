"""Fair shares: how much of all nodes each namespace has reserved, in proportion to its weight.

A namespace's *dominant share* is the largest of its parts of the CPU, the memory, the disk and the GPUs of all nodes
together (dominant resource fairness). Divided by the namespace's weight it says who comes next when room appears: of
namespaces whose jobs have the same priority, the one with the smallest value. A namespace of weight 2 so gets twice as
much as one of weight 1 as long as both have jobs that wait.

Within a namespace the job with the fewest running executions comes next, so that a job of many partitions takes turns
with the small ones behind it.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from bacalhau.models.job.resources import Resources


def _nothing_listens(job_id: str) -> None:
    return None


class Shares:
    """The sums of what is reserved by namespace, and the number of executions by job.

    `weights` by namespace; those without one have weight 1. `on_change` is called with the id of a job that has more or
    fewer executions than before.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights or {})
        self._sizes: dict[str, Resources] = {}
        self._total = Resources()
        self._used: dict[str, Resources] = {}
        self._executions: Counter[str] = Counter()
        self.on_change: Callable[[str], None] = _nothing_listens

    def put_node(self, node_id: str, size: Resources) -> None:
        """Count a node's capacity, or what it is from now on."""
        if self._sizes.get(node_id) != size:
            self.drop_node(node_id)
            self._sizes[node_id] = size
            self._total = self._total.plus(size)

    def drop_node(self, node_id: str) -> None:
        """Count a node no more."""
        size = self._sizes.pop(node_id, None)
        if size is not None:
            self._total = self._total.minus(size)

    def take(self, namespace: str, job_id: str, need: Resources) -> None:
        """Count an execution that has reserved `need`."""
        self._used[namespace] = self._used.get(namespace, Resources()).plus(need)
        self._executions[job_id] += 1
        self.on_change(job_id)

    def give_back(self, namespace: str, job_id: str, need: Resources) -> None:
        """Count an execution no more, taken with the same values before."""
        left = self._used.get(namespace, Resources()).minus(need)
        if left == Resources():
            self._used.pop(namespace, None)
        else:
            self._used[namespace] = left
        self._executions[job_id] -= 1
        if not self._executions[job_id]:
            del self._executions[job_id]
        self.on_change(job_id)

    def executions(self, job_id: str) -> int:
        """Count the executions of a job that hold room now."""
        return self._executions[job_id]

    def weight(self, namespace: str) -> float:
        """Return the namespace's weight, 1 where none is configured."""
        return self._weights.get(namespace, 1.0)

    def dominant(self, namespace: str) -> float:
        """Return the namespace's dominant share of all nodes, from 0 to 1."""
        used = self._used.get(namespace)
        return 0.0 if used is None else dominant_share(used, self._total)

    def rank(self, namespace: str) -> float:
        """Return the dominant share over the weight: the smallest comes first."""
        return self.dominant(namespace) / self.weight(namespace)


def dominant_share(used: Resources, total: Resources) -> float:
    """Return the largest of the parts that `used` is of each resource; a resource of which there is none counts 0."""
    pairs = (
        (used.cpu, total.cpu),
        (used.memory, total.memory),
        (used.disk, total.disk),
        (used.gpu, total.gpu),
    )
    return max(part / whole if whole else 0.0 for part, whole in pairs)
