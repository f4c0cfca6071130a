"""A submission that may be sent again: the token that its client chose, and what became of it."""

import hashlib

import msgspec

from bacalhau.lib.wire import Model
from bacalhau.models.job.job import Job

MOST = 200  # characters of a token


class Submission(Model):
    """A request to submit a job, as it is kept with the job. `digest` is of the request: the same token with another
    request is a mistake.
    """

    namespace: str
    token: str
    digest: bytes
    job_id: str = ""
    job_version: int = 0


def make_submission(job: Job, token: str, *, force: bool) -> Submission | None:
    """Make the submission of a job as its client sent it; None where the client chose no token."""
    if not token:
        return None
    text = msgspec.json.encode(job, order="sorted") + (b"force" if force else b"")
    return Submission(namespace=job.namespace.strip() or "default", token=token, digest=hashlib.sha256(text).digest())


def token_problem(token: str) -> str:
    """Say what is wrong with a token; "" when nothing is."""
    if len(token) > MOST or not token.isprintable():
        return f"the idempotency token has {len(token)} characters, but must be printable and have at most {MOST}"
    return ""
