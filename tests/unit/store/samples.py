"""Small values that the store's tests are made of."""

from msgspec.structs import replace

from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution
from bacalhau.models.execution.plan import Change, HistoryEntry, OutgoingMessage
from bacalhau.models.job.job import Job, JobState, Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType


def a_job(number: int, **changes: object) -> Job:
    job_id = f"j-{number:08x}-0000-4000-8000-000000000000"
    job = Job(
        id=job_id,
        name=job_id,
        namespace="default",
        type="batch",
        count=1,
        tasks=(Task(name="main", engine=SpecConfig(type="docker", params={"Image": "ubuntu"})),),
        state=JobState(state_type=JobStateType.PENDING),
        version=1,
        revision=1,
        create_time=number * 10,
        modify_time=number * 10,
    )
    return replace(job, **changes)


def an_execution(job: Job, number: int, **changes: object) -> Execution:
    execution = Execution(
        id=f"e-{number:08x}-0000-4000-8000-000000000000",
        namespace=job.namespace,
        node_id="n-1",
        job_id=job.id,
        job_version=job.version,
        partition_index=number,
        compute_state=ComputeState(state_type=ComputeStateType.NEW),
        revision=1,
        create_time=number,
        modify_time=number,
    )
    return replace(execution, **changes)


def a_message(node_id: str = "n-1", body: bytes = b"{}") -> OutgoingMessage:
    return OutgoingMessage(node_id=node_id, type="AskForBid", body=body)


def entry(job: Job, message: str, execution_id: str = "") -> HistoryEntry:
    return HistoryEntry(
        job_id=job.id,
        job_version=job.version,
        execution_id=execution_id,
        event=make_event(Topic.SUBMISSION, message, 1),
    )


def submitted(job: Job) -> Change:
    return Change(new_jobs=(job,), history=(entry(job, "Job submitted"),))
