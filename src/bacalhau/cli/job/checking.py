"""`validate` and `job validate`: one check for job files of either generation, without a server."""

import msgspec

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.older import Validate
from bacalhau.cli.output.render import json_text
from bacalhau.cli.spec.job_file import InvalidJob, read_job_file
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import Job
from bacalhau.models.job.overlap import list_overlaps
from bacalhau.models.job.unused import unused_params
from bacalhau.models.job.validate import normalized, sanitized, validate_job
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.registry import all_plugins

_SPECIFICATION = "job files are described at https://docs.bacalhau.org/cli-api/specifications/job"


def validate(call: Call[Validate]) -> int:
    if call.flags.output_schema:
        say(json_text(msgspec.json.schema(Job), pretty=True))
        return 0
    try:
        _check(call)
    except InvalidJob as e:
        lines = ["The Job is not valid. See errors:", *(f"- {problem}" for problem in e.problems)]
        raise BadRequest(lines, hint=e.hint) from e
    say("The Job is valid")
    return 0


def job_validate(call: Call[Flags]) -> int:
    for warning in _check(call):
        say(warning)
    say("OK")
    return 0


def _check(call: Call[Flags]) -> list[str]:
    """The warnings. Raises BadRequest with every problem."""
    job, warnings = sanitized(normalized(read_job_file(call)))
    problems, unused = _problems(job), unused_params(job, plugin_checks(all_plugins()).params)
    if problems:  # a parameter that is missing may stand there under another name
        raise InvalidJob([*problems, *unused], _SPECIFICATION)
    for warning in unused:
        say_warning(warning)
    return [*warnings, *list_overlaps(job, plugin_checks(all_plugins()).overlaps)[1]]


def job_problems(job: Job) -> list[str]:
    """Every problem of a job as it was read."""
    return _problems(sanitized(normalized(job))[0])


def _problems(job: Job) -> list[str]:
    known = plugin_checks(all_plugins())
    found = validate_job(job, known.engines, known.sources, known.publishers, known.whole, known.divides)
    return found or list_overlaps(job, known.overlaps)[0]
