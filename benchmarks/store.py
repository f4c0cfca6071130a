"""How many changes a second the orchestrator's store makes durable, and how many jobs it reads for the scheduler.

    python benchmarks/store.py [--callers 32] [--jobs 3000] [--finished 0]

Each job is four changes, as in a real run: submitted, placed, reported, closed. `--finished` fills the store first, to
show that old jobs do not slow down new ones.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.ids import new_execution_id, new_job_id
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, Execution, RunCommandResult
from bacalhau.models.execution.plan import Change, HistoryEntry, OutgoingMessage
from bacalhau.models.job.job import Job, JobState, Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.ports.store import JobQuery
from bacalhau.store.store import SqliteStore


def make_job() -> Job:
    job_id, now = new_job_id(), now_ns()
    task = Task(
        name="main", engine=SpecConfig(type="docker", params={"Image": "ubuntu", "Parameters": ["echo", "hello"]})
    )
    state = JobState(state_type=JobStateType.PENDING)
    return Job(
        id=job_id,
        name=job_id,
        namespace="default",
        type="batch",
        count=1,
        tasks=(task,),
        state=state,
        version=1,
        revision=1,
        create_time=now,
        modify_time=now,
    )


def entry(job: Job, message: str, execution_id: str = "") -> HistoryEntry:
    return HistoryEntry(
        job_id=job.id,
        job_version=job.version,
        execution_id=execution_id,
        event=make_event(Topic.EXECUTION, message, now_ns()),
    )


def one_job(job: Job) -> Iterator[Change]:
    yield Change(new_jobs=(job,), history=(entry(job, "Job submitted"),))
    execution = Execution(
        id=new_execution_id(),
        namespace="default",
        node_id="n-1",
        job_id=job.id,
        job_version=1,
        revision=1,
        create_time=now_ns(),
    )
    execution = execution.moved(ComputeStateType.NEW, now_ns())
    execution = replace(execution, revision=1)
    running = job.moved(JobStateType.RUNNING, now_ns())
    yield Change(
        jobs=(running,),
        new_executions=(execution,),
        history=(entry(job, "Running"), entry(job, "Requested execution", execution.id)),
        messages=(OutgoingMessage(node_id="n-1", type="AskForBid", body=b"x" * 1500),),
    )
    done = replace(execution.moved(ComputeStateType.COMPLETED, now_ns()), run_output=RunCommandResult(stdout="hello\n"))
    yield Change(executions=(done,), history=(entry(job, "Completed successfully", done.id),))
    completed = running.moved(JobStateType.COMPLETED, now_ns())
    yield Change(jobs=(completed,), history=(entry(job, "Completed"),))


async def spread(callers: int, count: int, work: Callable[[int], Awaitable[None]]) -> float:
    """Seconds that `callers` at once need for `count` pieces of work."""
    numbers = iter(range(1, count + 1))

    async def caller() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await together(*(caller() for _ in range(callers)))
    return time.perf_counter() - began


async def measure(callers: int, count: int, finished: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        async with SqliteStore(Path(folder) / "store.db") as store:

            async def whole_job(_: int) -> None:
                for change in one_job(make_job()):
                    seqs = await store.apply(change)
                    if seqs:
                        await store.drop_messages(seqs)

            if finished:
                await spread(256, finished, whole_job)
            jobs = [make_job() for _ in range(count)]
            chains = [list(one_job(job)) for job in jobs]

            async def prepared(number: int) -> None:
                for change in chains[number - 1]:
                    await store.apply(change)

            async def view(number: int) -> None:
                await store.load_views([jobs[number % count].id])

            async def view_batch(number: int) -> None:
                await store.load_views([job.id for job in jobs[number * 32 % count :][:32]])

            before, cpu = store.commits, time.process_time()
            seconds = await spread(callers, count, prepared)
            cpu = time.process_time() - cpu
            applies = 4 * count
            print(
                f"apply       {applies / seconds:10,.0f}/s   {cpu / applies * 1e6:6.1f} us CPU each,"
                f" {applies / (store.commits - before):.1f} to a commit"
            )
            for name, work, size in (("load_views", view, 1), ("load_views×32", view_batch, 32)):
                calls, cpu = 4000 // size, time.process_time()
                seconds = await spread(callers, calls, work)
                cpu = time.process_time() - cpu
                print(f"{name:13} {calls * size / seconds:8,.0f}/s   {cpu / calls / size * 1e6:6.1f} us CPU a job")
            for name, query in (
                ("first 10", JobQuery(limit=10)),
                ("last 10", JobQuery(limit=10, reverse=True, order_by="modified_at")),
            ):
                began = time.perf_counter()
                await store.list_jobs(query)
                print(f"list {name:8} {(time.perf_counter() - began) * 1e3:8.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--finished", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(measure(options.callers, options.jobs, options.finished))


if __name__ == "__main__":
    main()
