"""The table of events that a waiting user sees."""

from bacalhau.cli.output.steps import Events, GroupedEvents
from bacalhau.models.execution.event import Event, JobHistory
from bacalhau.models.job.job import Job

EXECUTION = "e-12345678-0000-4000-8000-000000000000"


def event(topic, message, execution=EXECUTION, second=1, **details):
    return JobHistory(
        time=f"2026-01-02T03:04:0{second}.5Z",
        execution_id=execution,
        event=Event(topic=topic, message=message, details=details or None),
    )


def test_a_long_topic_goes_on_below(capsys):
    Events().event(event("Publishing Results", "bucket cannot be empty", IsError="true", Hint="name one"))
    assert capsys.readouterr().out.splitlines() == [
        " TIME          EXEC. ID    TOPIC            EVENT ",
        " 03:04:01.500  e-12345678  Publishing       Error: bucket cannot be empty",
        f"{' ' * 44}Hint: name one ",
        f"{' ' * 27}Results",
    ]


def test_in_groups_only_the_last_event_of_each_execution(capsys):
    told = GroupedEvents()
    told.event(event("Submission", "Job submitted", execution="", second=1))
    told.event(event("Scheduling", "Requested execution", second=2))
    told.event(event("Execution", "Completed successfully", second=3))
    assert capsys.readouterr().out == ""
    told.end(Job())
    assert [line.split()[-2:] for line in capsys.readouterr().out.splitlines()[1:]] == [["Completed", "successfully"]]
