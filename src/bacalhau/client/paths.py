"""The paths of the API that name a job."""

from bacalhau.client.transport import path_part


def job_path(job_id: str, *more: str) -> str:
    """Make the path of a job, or of something of it. Raises BadRequest for what can be no id or name."""
    return "/".join(["/orchestrator/jobs", path_part("job", job_id), *more])
