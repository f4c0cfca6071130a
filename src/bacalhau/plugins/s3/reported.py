"""The check of S3 results that nodes report. The orchestrator signs links with its own keys, so a result must be in the
place that its job's publisher names, and belong to the execution that reports it.
"""

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import read_exactly, read_params, require_params
from bacalhau.plugins.objects.results import is_key_of
from bacalhau.plugins.s3.params import S3PublisherParams, S3SourceParams, is_archive
from bacalhau.plugins.s3.settings import read_settings
from bacalhau.ports.publisher import Published, ResultInput, wrong_type


class ManagedParams(Model):
    """The parameters of a result in the orchestrator's own bucket."""

    job_id: str = ""
    execution_id: str = ""


class KeptInput(ManagedParams):
    """The parameters of an input that is such a result. `link` is a signed one to its archive, "" where there is none
    yet.
    """

    link: str = ""


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


def kept_as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result in the orchestrator's bucket: its archive."""
    return ResultInput(published.result, path, is_archive=True)


def as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result: its archive, or the objects of a plain one."""
    params = require_params(published.result, S3SourceParams)
    return ResultInput(published.result, path, is_archive=is_archive(params.key))


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
    if not is_key_of(params.key, wanted.key, published, is_plain=wanted.is_plain):
        problems.append(f"key {shorten(params.key)!r} is not that of the execution")
    return problems
