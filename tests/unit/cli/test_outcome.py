"""What is told while a job runs and when it has ended."""

import asyncio
import io
import re
from contextlib import redirect_stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.cli.output.outcome import cause_of, say_exit_codes, say_nodes
from bacalhau.cli.output.progress import ProgressLines
from bacalhau.cli.output.steps import DONE, Events, Steps
from bacalhau.lib.errors import EngineFailure
from bacalhau.models.execution.event import Event, JobHistory, Topic, error_event, make_event
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution, RunCommandResult
from bacalhau.models.job.job import Job, JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.messages import Progress
from tests.support.until import until

E = "e-12345678-0000-4000-8000-000000000000"
N = "n-87654321-0000-4000-8000-000000000000"
NOW = 1795354546_865999747


def of_job(event):
    return JobHistory(type="JobLevel", event=event, time="2026-11-22T13:35:46.865999747Z")


def of_execution(event):
    return JobHistory(type="ExecutionLevel", execution_id=E, event=event, time="2026-11-22T13:35:46.9Z")


SUBMITTED = of_job(make_event(Topic.SUBMISSION, "Job submitted", NOW))
QUEUED = of_job(make_event(Topic.QUEUEING, "Job queued. all nodes are busy", NOW, NewState="Queued"))
PLACED = of_execution(make_event(Topic.SCHEDULING, "Requested execution on n-87654321", NOW, NodeID=N))
RUNNING = of_job(make_event(Topic.STATE_UPDATE, "Running", NOW, NewState="Running"))
BROKEN = of_execution(error_event(Topic.EXEC_SCANNING, EngineFailure("no such image", hint="push it"), NOW))
COMPLETED = of_job(make_event(Topic.STATE_UPDATE, "Completed", NOW, NewState="Completed"))


def ended(state, message=""):
    return Job(id="j-1", state=JobState(state_type=state, message=message))


def execution(state=ComputeStateType.COMPLETED, message="", **output):
    return Execution(
        id=E,
        node_id=N,
        compute_state=ComputeState(state_type=state, message=message),
        run_output=RunCommandResult(**output),
    )


@pytest.mark.parametrize(
    ("state", "mark"),
    [(JobStateType.COMPLETED, DONE), (JobStateType.FAILED, "err  ❌"), (JobStateType.STOPPED, "err  ❌")],
)
def test_steps_are_one_line_each(state, mark, capsys):
    steps = Steps()
    steps.begin("Communicating with the network")
    for event in (SUBMITTED, QUEUED, PLACED, RUNNING, QUEUED):
        steps.event(event)
    steps.end(ended(state))
    lines = [re.sub(r"[0-9.]+s$", "T", line) for line in capsys.readouterr().out.splitlines()]
    texts = (
        "Communicating with the network",
        "   Creating job for submission",
        "   Job waiting to be scheduled",
        "               Job in progress",
    )
    assert lines == [f"\t{text}  ................  {DONE}  T" for text in texts[:3]] + [
        f"\t{texts[3]}  ................  {mark}  T"
    ]


def test_events_are_rows(capsys):
    events = Events()
    for event in (SUBMITTED, PLACED, RUNNING, BROKEN, COMPLETED):
        events.event(event)
    assert capsys.readouterr().out.splitlines() == [
        " TIME          EXEC. ID    TOPIC            EVENT ",
        " 13:35:46.865              Submission       Job submitted ",
        " 13:35:46.900  e-12345678  Scheduling       Requested execution on n-87654321 ",
        " 13:35:46.900  e-12345678  Exec Scanning    Error: no such image",
        f"{' ' * 44}Hint: push it ",
    ]


def test_progress_goes_to_stderr_once_a_stage(capsys):
    line = ProgressLines()
    line.event(QUEUED)
    line.event(PLACED)
    for done in (1, 2, 3):
        line.progress(
            Progress(execution_id=E, stage="staging", done=done, total=3, bytes_done=done * 1000, bytes_total=3000)
        )
    line.progress(Progress(execution_id=E, stage="running"))
    line.event(COMPLETED)
    line.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "queued: all nodes are busy",
        "e-12345678 placed on n-87654321",
        "e-12345678 staging: 1 of 3 objects, 1.0 kB of 3.0 kB",
        "e-12345678 running",
        "completed",
    ]


def placed(number):
    details = {"NodeID": "n-87654321"}
    return JobHistory(
        execution_id=f"e-{number:08}", event=Event(topic="Scheduling", message="Requested", details=details)
    )


def ended_well(number):
    return JobHistory(execution_id=f"e-{number:08}", event=Event(topic="Execution", message="Completed successfully"))


def test_no_line_is_written_twice_while_three_executions_go_on(capsys):
    line = ProgressLines(3)
    for number in range(3):
        line.event(placed(number))
    for running in (1, 2, 3, 3, 3):  # each answer of the server tells all
        for number in range(running):
            line.progress(Progress(execution_id=f"e-{number:08}", stage="running"))
    assert capsys.readouterr().err.splitlines() == [
        *(f"e-{number:08} placed on n-87654321" for number in range(3)),
        *(f"e-{number:08} running" for number in range(3)),
    ]


STEPS = st.builds(
    Progress,
    execution_id=st.sampled_from([f"e-{number:08}" for number in range(3)]),
    stage=st.sampled_from(["pulling", "staging", "running"]),
    bytes_done=st.sampled_from([0, 1000, 2000]),
)


@given(st.lists(STEPS, max_size=40))
def test_stages_side_by_side_write_no_line_twice(steps):
    """The image is pulled while inputs are staged: the node tells now of one, now of the other."""
    line, err = ProgressLines(3), io.StringIO()
    with redirect_stderr(err):
        for step in steps:
            line.progress(step)
    lines = err.getvalue().splitlines()
    assert len(set(lines)) == len(lines)
    assert {line.split(":")[0] for line in lines} == {f"{step.execution_id} {step.stage}" for step in steps}
    assert len(lines) <= 9, "each stage of each execution at once, and then only after a while"


async def test_many_executions_are_counted(capfd):
    """The lines are written later, when a moment has passed in which what comes together is told together."""
    line, told = ProgressLines(12), []

    def told_now():
        told.extend(capfd.readouterr().err.splitlines())
        return told

    for number in range(12):
        line.event(placed(number))
    await asyncio.to_thread(until, told_now, "the first line")
    for number in range(10):
        step = Progress(execution_id=f"e-{number:08}", stage="staging", bytes_done=100_000, bytes_total=1_000_000)
        line.progress(step if number > 7 else Progress(execution_id=f"e-{number:08}", stage="running"))
    for number in range(2):
        line.event(ended_well(number))
        line.progress(Progress(execution_id=f"e-{number:08}", stage="running"))  # late
    await asyncio.to_thread(until, lambda: len(told_now()) > 1, "the second line")
    line.event(ended_well(2))
    line.event(COMPLETED)
    assert told_now() == [
        "12 of 12 placed",
        "6 of 12 running, 2 staging (200.0 kB of 2.0 MB), 2 placed, 2 completed",
        "completed",
    ]


def test_the_cause_is_the_jobs_own_message():
    assert cause_of(ended(JobStateType.FAILED, "no such image"), [BROKEN]) == ("no such image", "push it")
    assert cause_of(ended(JobStateType.FAILED), [BROKEN])[0] == "no such image"
    assert cause_of(ended(JobStateType.STOPPED, "enough"), [])[0] == "job j-1 was stopped: enough"


def test_nodes_are_named_once_a_message(capsys):
    say_nodes(
        [execution(stdout="hi\n"), execution(stdout="hi\n"), execution(ComputeStateType.FAILED, "a\nb"), execution()]
    )
    assert capsys.readouterr().out == "\nJob Results By Node:\n• Node n-87654321: hi\n• Node n-87654321: \n\ta\n\tb\n"


def test_exit_codes_that_are_not_zero(capsys):
    say_exit_codes([execution(), execution(exit_code=3), execution(ComputeStateType.FAILED, exit_code=4)])
    assert capsys.readouterr().err == "e-12345678 exited with code 3 on n-87654321\n"
