"""The check of S3 results that nodes report. The orchestrator signs links with its own keys, so a result must be in the
place that its job's publisher names, and belong to the execution that reports it.
"""

import re

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import read_exactly, read_params
from bacalhau.plugins.s3.keys import with_suffix
from bacalhau.plugins.s3.params import S3PublisherParams, S3SourceParams
from bacalhau.plugins.s3.settings import read_settings
from bacalhau.ports.publisher import Published, wrong_type

_DIGITS = {"date": 8, "time": 6}


class ManagedParams(Model):
    """The parameters of a result in the orchestrator's own bucket."""

    job_id: str = ""
    execution_id: str = ""


def check_managed(published: Published) -> list[str]:
    """List why a report is no result of this execution in the orchestrator's bucket."""
    params, problems = read_exactly(published.result, ManagedParams)
    if params and (params.job_id, params.execution_id) != (published.job_id, published.execution_id):
        problems.append(f"it belongs to {shorten(params.job_id)}/{shorten(params.execution_id)}, another execution")
    return wrong_type(published, "s3managed") + problems


def check_result(published: Published) -> list[str]:
    """List why a report is no result of this execution in the bucket that its job names."""
    params, problems = read_exactly(published.result, S3SourceParams)
    wanted, _ = read_params(published.publisher, S3PublisherParams)
    if params and wanted:
        problems += _place_problems(params, wanted, published)
    return wrong_type(published, "s3") + problems


def _place_problems(params: S3SourceParams, wanted: S3PublisherParams, published: Published) -> list[str]:
    try:
        settings = read_settings()
    except StorageFailure as e:
        return [f"{e.message}, which may name the endpoint of the job's bucket"]
    found, meant = params.place(settings), wanted.place(settings)
    problems = []
    if (found.bucket, found.endpoint) != (meant.bucket, meant.endpoint):
        there = f"bucket {shorten(found.bucket)!r} at {shorten(found.server)}"
        problems.append(f"{there} is not the job's, {meant.bucket!r} at {meant.server} (name its Endpoint in the job)")
    if not _is_key(params.key, wanted, published):
        problems.append(f"key {shorten(params.key)!r} is not that of the execution")
    return problems


def _is_key(key: str, wanted: S3PublisherParams, published: Published) -> bool:
    """Tell whether the publisher can give this execution that key. Dates and times have one length, so that each part
    of the key has one place.
    """
    values = {"jobID": published.job_id, "executionID": published.execution_id, "nodeID": published.node_id}
    at = 0
    for number, part in enumerate(re.split(r"\{(\w+)\}", with_suffix(wanted.key, is_plain=wanted.is_plain))):
        if number % 2 and (digits := _DIGITS.get(part)):
            there = key[at : at + digits]
            fits, at = len(there) == digits and there.isascii() and there.isdecimal(), at + digits
        else:
            text = values.get(part, f"{{{part}}}") if number % 2 else part
            fits, at = key.startswith(text, at), at + len(text)
        if not fits:
            return False
    return at == len(key)
