"""Evaluations as statements and queries; they live only until they are done."""

from bacalhau.models.evaluation import Evaluation
from bacalhau.store.statement import Row, Statement


def insert_evaluation(evaluation: Evaluation) -> Statement:
    columns = {
        "id": evaluation.id,
        "job_id": evaluation.job_id,
        "triggered_by": evaluation.triggered_by,
        "wait_until": evaluation.wait_until,
        "create_time": evaluation.create_time,
    }
    return Statement("insert_evaluation", columns, 1, f"evaluation already exists: {evaluation.id}")


def delete_evaluation(evaluation_id: str) -> Statement:
    """Unguarded: what is done may be done twice."""
    return Statement("delete_evaluation", {"id": evaluation_id})


def read_evaluations(rows: list[Row]) -> list[Evaluation]:
    return [Evaluation(id=a, job_id=b, triggered_by=c, wait_until=d, create_time=e) for a, b, c, d, e in rows]
