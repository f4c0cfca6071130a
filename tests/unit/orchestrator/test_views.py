"""Jobs at hand, as they were last written."""

import time

from msgspec.structs import replace

from bacalhau.models.execution.plan import Change
from bacalhau.orchestrator.state.views import Views
from tests.unit.store.samples import a_job, an_execution


def test_thousands_of_executions_of_one_job_are_noted_at_once():
    views, job = Views(), a_job(1)
    executions = tuple(an_execution(job, number) for number in range(4000))
    began = time.process_time()
    views.note(Change(new_jobs=(job,), new_executions=executions))
    assert time.process_time() - began < 0.2
    changed = replace(executions[7], revision=2)
    views.note(Change(executions=(changed,)))
    assert views.find(job.id, changed.id) == (changed, job)
    assert len(views.with_execution(changed).executions) == 4000
