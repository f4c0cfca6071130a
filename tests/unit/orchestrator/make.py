"""Small whole values for the scheduler's tests."""

from itertools import count

import msgspec

from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import (
    AllocatedResources,
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
)
from bacalhau.models.job.job import Job, JobState, Task, Timeouts
from bacalhau.models.job.resources import Resources, ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import CONNECTED, DISCONNECTED, ComputeNodeInfo, ConnectionState, NodeInfo, NodeState
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import Candidate

NOW = 1_000_000_000_000_000_000
SECOND = 1_000_000_000


def make_job(
    *,
    state=JobStateType.PENDING,
    count=1,
    cpu="500m",
    engine="docker",
    queue=0,
    total=0,
    created=NOW,
    kind="batch",
    retry=None,
    version=1,
    **fields,
):
    task = Task(
        name="main",
        engine=SpecConfig(type=engine, params={"Image": "alpine"}),
        publisher=SpecConfig(type="ipfs"),
        resources=ResourcesConfig(cpu=cpu, memory="100Mb"),
        timeouts=Timeouts(queue_timeout=queue, total_timeout=total),
        retry=retry,
    )
    return Job(
        id="j-1",
        name="j-1",
        namespace="default",
        type=kind,
        count=count,
        tasks=(task,),
        state=JobState(state_type=state),
        version=version,
        revision=1,
        create_time=created,
        modify_time=created,
        **fields,
    )


def make_candidate(
    node_id="n-1",
    *,
    cpu=2.0,
    free=None,
    engines=("docker", "noop"),
    connected=True,
    labels=None,
    unavailable=None,
    lost=False,
    gpu=0,
    executions=0,
):
    size = Resources(cpu=cpu, memory=10**10, disk=10**11, gpu=gpu)
    compute = ComputeNodeInfo(
        execution_engines=engines,
        publishers=("ipfs", "s3"),
        storage_sources=("s3", "ipfs"),
        max_capacity=size,
        max_job_requirements=size,
        unavailable=unavailable or {},
        max_executions=executions,
    )
    state = ConnectionState(status=CONNECTED if connected else DISCONNECTED)
    node = NodeState(
        info=NodeInfo(node_id=node_id, labels=labels or {}, compute_node_info=compute), connection_state=state
    )
    return Candidate(node, msgspec.structs.replace(size, cpu=cpu if free is None else free), 1 if lost else 0)


def make_execution(
    n=1, *, state=ComputeStateType.BID_ACCEPTED, partition=0, node="n-1", message="", details=None, at=NOW, version=1
):
    stopped = state.is_terminal
    return Execution(
        id=f"e-{n}",
        job_id="j-1",
        node_id=node,
        job_version=version,
        partition_index=partition,
        revision=1,
        create_time=at,
        modify_time=at,
        desired_state=DesiredState(state_type=DesiredStateType.STOPPED if stopped else DesiredStateType.RUNNING),
        compute_state=ComputeState(state_type=state, message=message, details=details),
        allocated_resources=AllocatedResources(tasks={"main": Resources(cpu=0.5, memory=10**8)}),
    )


def make_context(*candidates, now=NOW, settled=True, **more):
    return Context(Candidates(candidates), now, (f"e-new{i}" for i in count()), settled, **more)


def an_event(text):
    return make_event(Topic.EXECUTION, text, NOW)
