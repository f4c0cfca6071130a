"""A job and its task, as a user asks for them."""

import msgspec

from bacalhau.lib.wire import Model, always
from bacalhau.models.job.inventory import Inventory
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.retry import RetryPolicy
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType, check_job_move
from bacalhau.models.job.uses import Reuse

NO_PORTS: frozenset[int] = frozenset()

RESERVED_META = "bacalhau.org/"
SERVERS_KEYS = frozenset(  # nobody else sets them
    {"ID", "State", "Version", "Revision", "CreateTime", "ModifyTime", "Inventory"}
)
CLIENT_META = "bacalhau.org/client.installation.id"
LONG_RUNNING = ("service", "daemon")
EVERYWHERE = ("ops", "daemon")
"""Job types that run on all matching nodes, so that their count is 0."""

JOB_TYPES = ("batch", "ops", "service", "daemon")


class InputSource(Model):
    """`target` is the absolute path inside the job where `source` appears."""

    source: SpecConfig = always(factory=SpecConfig)
    alias: str = always(factory=str)
    target: str = always(factory=str)


class ResultPath(Model):
    name: str = always(factory=str)
    path: str = always(factory=str)


class Timeouts(Model):
    """Seconds; 0 is no limit."""

    execution_timeout: int = 0
    queue_timeout: int = 0
    total_timeout: int = 0


class Task(Model):
    """`retry` is ours."""

    name: str = always(factory=str)
    engine: SpecConfig = always(factory=SpecConfig)
    publisher: SpecConfig | None = always(factory=SpecConfig)
    env: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    input_sources: tuple[InputSource, ...] | None = None
    result_paths: tuple[ResultPath, ...] | None = None
    resources: ResourcesConfig | None = always(factory=ResourcesConfig)
    network: NetworkConfig | None = always(factory=NetworkConfig)
    timeouts: Timeouts | None = always(factory=Timeouts)
    retry: RetryPolicy | None = None

    @property
    def publisher_type(self) -> str:
        """The publisher's type in lower case; "" where results are not published, which the type `noop` also means."""
        kind = self.publisher.kind if self.publisher else ""
        return "" if kind == "noop" else kind

    @property
    def static_ports(self) -> frozenset[int]:
        """Ports of its node that the task must have, and no other task there."""
        return (
            NO_PORTS
            if self.network is None or not self.network.ports
            else frozenset(port.static for port in self.network.ports if port.static)
        )


class LabelSelectorRequirement(Model):
    key: str = always(factory=str)
    operator: str = always(factory=str)
    values: tuple[str, ...] | None = None


class JobState(Model):
    state_type: JobStateType = always(factory=lambda: JobStateType.UNDEFINED)
    message: str = ""
    details: dict[str, str] | None = None


class Job(Model):
    """Times are Unix nanoseconds.

    `version` counts specs, `revision` counts every change; `submit_time` (ours) is when a later version came.
    `inventory` (ours) is what the inputs of this version hold, None while nobody has found out, or need not.
    `reuse` (ours) is set where results of earlier executions may be used again.
    `auto_count` (ours): what an input holds decides the count, which is 1 until that is known.
    """

    id: str = always(factory=str)
    name: str = always(factory=str)
    namespace: str = always(factory=str)
    type: str = always(factory=str)
    priority: int = always(factory=int)
    count: int | None = always(factory=lambda: None)
    constraints: tuple[LabelSelectorRequirement, ...] | None = always(factory=tuple)
    meta: dict[str, str] | None = always(factory=dict)
    labels: dict[str, str] | None = always(factory=dict)
    tasks: tuple[Task, ...] | None = always(factory=tuple)
    state: JobState = always(factory=JobState)
    version: int = always(factory=int)
    revision: int = always(factory=int)
    create_time: int = always(factory=int)
    modify_time: int = always(factory=int)
    submit_time: int = 0
    inventory: Inventory | None = None
    reuse: Reuse | None = None
    auto_count: bool = False

    @property
    def submitted(self) -> int:
        """The time from which the limits of this version count, Unix nanoseconds."""
        return self.submit_time or self.create_time

    @property
    def specification(self) -> "Job":
        """The job without what became of it: the same value for all executions of one version."""
        return msgspec.structs.replace(self, state=JobState(), revision=0, modify_time=0)

    @property
    def task(self) -> Task:
        """The one task of a validated job."""
        return (self.tasks or (Task(),))[0]

    @property
    def wanted(self) -> int:
        """Executions asked for: partitions 0..wanted-1."""
        return 1 if self.count is None else self.count

    @property
    def is_done(self) -> bool:
        return self.state.state_type.is_terminal

    def moved(self, state: JobStateType, now: int, message: str = "") -> "Job":
        """The job in its next state; raises Conflict for an illegal move."""
        check_job_move(self.id, self.state.state_type, state)
        return msgspec.structs.replace(
            self, state=JobState(state_type=state, message=message), revision=self.revision + 1, modify_time=now
        )
