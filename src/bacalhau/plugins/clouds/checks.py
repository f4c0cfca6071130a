"""The checks of sources, publishers and results in a cloud."""

import msgspec

from bacalhau.border.names import shorten
from bacalhau.models.job.overlap import PublisherUse
from bacalhau.models.job.spec import SpecConfig, read_exactly, read_params, require_params
from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.clouds.params import InCloud, publisher_problems, source_problems
from bacalhau.plugins.objects.results import is_key_of, overlap_problems
from bacalhau.plugins.objects.shares import whole_problems
from bacalhau.ports.publisher import Published, ResultInput, wrong_type


def check_source(cloud: Cloud, spec: SpecConfig, *, is_whole: bool = False) -> list[str]:
    """List every problem of an input source; `is_whole`: of a job that runs everywhere, and so has no shares."""
    params, problems = read_params(spec, cloud.source)
    if params:
        problems += source_problems(params, cloud.word) + _account_problems(cloud, params)
        problems += whole_problems(params.partition) if is_whole and not problems else []
    return [f"invalid {cloud.kind} storage params: {text}" for text in problems]


def check_publisher(cloud: Cloud, spec: SpecConfig) -> list[str]:
    """List every problem of a publisher."""
    params, problems = read_params(spec, cloud.publisher)
    if params:
        problems += publisher_problems(params, cloud.word) + _account_problems(cloud, params)
    return [f"invalid {cloud.kind} params. {text}" for text in problems]


def check_overlap(cloud: Cloud, use: PublisherUse) -> list[str]:
    """List the results of a job that would take the same key, unless its publisher says that they may."""
    params, _ = read_params(use.publisher, cloud.publisher)
    return [] if params is None or params.overwrite else overlap_problems(cloud.scheme, params.key, use)


def check_result(cloud: Cloud, published: Published) -> list[str]:
    """List why a report is no result of this execution in the place that its job names."""
    params, problems = read_exactly(published.result, cloud.result)
    wanted, _ = read_params(published.publisher, cloud.publisher)
    if params and wanted:
        if params.place != wanted.place:
            problems.append(f"{cloud.at(params.place)} is not the job's, {cloud.at(wanted.place)}")
        if not is_key_of(params.key, wanted.key, published, is_plain=wanted.is_plain):
            problems.append(f"key {shorten(params.key)!r} is not that of the execution")
    return wrong_type(published, cloud.kind) + problems


def as_input(cloud: Cloud, published: Published, path: str) -> ResultInput:
    """Say which input brings a result: its archive, compared with its digest, or the objects of a plain one."""
    params = require_params(published.result, cloud.result)
    wanted = cloud.source(
        bucket=params.bucket,
        key=params.key,
        endpoint=params.endpoint,
        account=params.account,
        checksum_sha256=params.digest,
    )
    source = SpecConfig(type=cloud.kind, params=msgspec.to_builtins(wanted))
    return ResultInput(source, path, is_archive=params.is_archive)


def _account_problems(cloud: Cloud, params: InCloud) -> list[str]:
    if not params.account or cloud.has_accounts:
        return []
    return [f"account {shorten(params.account)!r} is nothing that {cloud.title} has: leave it out"]
