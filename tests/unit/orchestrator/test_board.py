"""Those who follow a job: what they are told of its executions."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.models.execution.execution import Execution
from bacalhau.orchestrator.state.board import Board, Watch


@given(
    told=st.lists(st.tuples(st.sampled_from(["j-1", "j-2"]), st.integers(1, 3), st.integers(1, 4), st.booleans())),
)
def test_the_latest_revision_of_each_execution_is_taken_in_whatever_order_they_are_told(told):
    board, watch, other = Board(), Watch(collects=True), Watch()
    taken: dict[str, int] = {}
    latest: dict[str, int] = {}

    def take():
        for execution in watch.take():
            taken[execution.id] = max(taken.get(execution.id, 0), execution.revision)

    with board.watch("j-1", watch), board.watch("j-1", other):
        for job_id, number, revision, takes in told:
            execution = Execution(id=f"{job_id}-{number}", job_id=job_id, revision=revision)
            board.written([execution])
            if job_id == "j-1":
                latest[execution.id] = max(latest.get(execution.id, 0), revision)
            if takes:
                take()
        take()
    assert taken == latest
    assert other.take() == []
