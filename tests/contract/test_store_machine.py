"""Random changes, right and wrong ones, against a store in plain dicts: both must agree on what lands and what is
refused.
"""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from bacalhau.lib.errors import Conflict
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.ports.store import HistoryQuery
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, a_message, an_execution, entry

numbers = st.integers(0, 3)
offsets = st.sampled_from([1, 1, 1, 0, 2, -1])  # 1 is right


class StoreMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.store = SqliteStore(Path(self.folder.name) / "store.db")
        self.runner.run(self.store.__aenter__())
        self.jobs, self.executions, self.history, self.messages = {}, {}, {}, 0

    def teardown(self):
        self.runner.run(self.store.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()

    def apply(self, change, legal):
        """What is added to every change tells whether all of it landed."""
        job = next(iter(change.new_jobs + change.jobs), None) or a_job(
            next(iter(change.executions + change.new_executions)).create_time
        )
        change = replace(change, history=(entry(job, "one"), entry(job, "two")), messages=(a_message(), a_message()))
        try:
            seqs = self.runner.run(self.store.apply(change))
        except Conflict:
            assert not legal
            return
        assert legal and seqs == [self.messages + 1, self.messages + 2]
        self.messages += 2
        self.history[job.id] = self.history.get(job.id, 0) + 2
        self.jobs |= {j.id: j for j in change.new_jobs + change.jobs}
        self.executions |= {e.id: e for e in change.new_executions + change.executions}

    @rule(number=numbers, name=numbers)
    def submit(self, number, name):
        job = a_job(number, name=f"name-{name}")
        taken = job.id in self.jobs or any(other.name == job.name for other in self.jobs.values())
        self.apply(Change(new_jobs=(job,)), not taken)

    @rule(number=numbers, offset=offsets, again=st.booleans())
    def update(self, number, offset, again):
        stored = self.jobs.get(a_job(number).id, a_job(number))
        state = JobState(state_type=JobStateType.PENDING if again else JobStateType.RUNNING)
        job = replace(stored, revision=stored.revision + offset, version=stored.version + again, state=state)
        self.apply(Change(jobs=(job,)), stored.id in self.jobs and offset == 1)

    @rule(number=numbers)
    def place(self, number):
        job = self.jobs.get(a_job(number).id, a_job(number))
        execution = an_execution(job, number)
        self.apply(Change(new_executions=(execution,)), job.id in self.jobs and execution.id not in self.executions)

    @rule(number=numbers, offset=offsets, end=st.booleans())
    def report(self, number, offset, end):
        stored = self.executions.get(an_execution(a_job(number), number).id, an_execution(a_job(number), number))
        moved = stored.moved(ComputeStateType.FAILED, 9) if end and stored.is_live else stored
        execution = replace(moved, revision=stored.revision + offset)
        self.apply(Change(executions=(execution,)), stored.id in self.executions and offset == 1)

    @invariant()
    def agrees(self):
        run = self.runner.run
        views = run(self.store.load_views([a_job(n).id for n in range(4)]))
        assert {job_id: view.job for job_id, view in views.items()} == self.jobs
        assert {e.id: e for view in views.values() for e in view.executions} == self.executions
        assert {e.id for e in run(self.store.list_live_executions())} == {
            e.id for e in self.executions.values() if e.is_live
        }
        assert len(run(self.store.list_messages("n-1", 0, 0))) == self.messages
        for job_id, job in self.jobs.items():
            assert [h.seq_num for h in run(self.store.list_history(HistoryQuery(job_id)))] == list(
                range(1, self.history[job_id] + 1)
            )
            assert [v.version for v in run(self.store.list_job_versions(job_id))] == list(range(1, job.version + 1))


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStoreMachine = StoreMachine.TestCase
