"""Rules by which a node refuses tasks from its configuration alone. They are told with the node, so that the scheduler
need not ask first. Pure.
"""

from bacalhau.lib.wire import Model
from bacalhau.models.job.job import Task
from bacalhau.models.job.network import NetworkConfig, NetworkType


class NodePolicy(Model):
    """`reject_networked_jobs`: tasks that leave the network open get none, those that ask for one are refused."""

    reject_stateless_jobs: bool = False
    reject_networked_jobs: bool = False


def list_objections(task: Task, policy: NodePolicy | None) -> list[str]:
    """List why the node does not take the task; empty when it does."""
    if policy is None:
        return []
    found = []
    kind = (task.network or NetworkConfig()).kind()
    if policy.reject_networked_jobs and kind not in (NetworkType.DEFAULT, NetworkType.NONE):
        found.append(f"does not accept jobs that use a network (this one asks for {kind.value})")
    if policy.reject_stateless_jobs and not task.input_sources:
        found.append("does not accept jobs without inputs")
    return found
