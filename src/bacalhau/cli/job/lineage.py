"""`job describe --lineage`: where the inputs of a job came from, and which jobs read its results."""

from collections.abc import Iterator, Mapping

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.job.commands import DescribeJob
from bacalhau.cli.output.render import say_lines, show_document
from bacalhau.lib.ids import short_id
from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import encode
from bacalhau.models.wire.lineage import LineageInput, LineageJob, LineageResponse

_SHOWN = 3  # results of one input


async def describe_lineage(call: Call[DescribeJob]) -> int:
    """Show the lineage of a job, as text or as a document."""
    async with connect(call.settings) as client:
        answer = await client.lineage(call.args[0], namespace=call.flags.namespace, version=call.flags.version)
    if call.flags.output:
        show_document(call.flags, answer, "yaml")
    else:
        say_lines(list(_lines(answer)))
    return 0


def _lines(answer: LineageResponse) -> Iterator[str]:
    for number, job in enumerate(answer.jobs):
        if number:
            yield ""
        yield _title(job)
        yield from (f"  {line}" for item in job.inputs for line in _input_lines(item))
        if not (job.inputs or job.is_forgotten):
            yield "  reads nothing"
    yield ""
    yield "Read by:" if answer.readers else "Read by no job"
    yield from (f"  {short_id(r.job_id)} {r.name}, version {r.job_version}" for r in answer.readers)
    if answer.is_cut:
        yield "  (and more)"


def _title(job: LineageJob) -> str:
    if job.is_forgotten:
        return f"{short_id(job.job_id)}, version {job.job_version}: forgotten"
    listed = f", inputs of {job.objects:,} objects, {show_bytes(job.bytes)}" if job.objects else ""
    return f"{short_id(job.job_id)} {job.name}, version {job.job_version}: {job.state}{listed}"


def _input_lines(item: LineageInput) -> Iterator[str]:
    if not item.results:
        yield f"{item.target} from {item.source.type} {_shown(item.source.params)}"
        return
    first = item.results[0]
    yield f"{item.target} from job {short_id(first.job_id)}, version {first.job_version}:"
    for result in item.results[:_SHOWN]:
        yield f"  {short_id(result.execution_id)}: {result.source.type} {_shown(result.source.params)}"
    if len(item.results) > _SHOWN:
        yield f"  and {len(item.results) - _SHOWN} more results"


def _shown(params: Mapping[str, object] | None) -> str:
    return encode({key: value for key, value in (params or {}).items() if value}).decode()
