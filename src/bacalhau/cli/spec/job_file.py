"""The job of a file or of stdin, its template filled in, and every fault of it told at once."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.frame.streams import read_stdin
from bacalhau.cli.spec.flags import merged_pairs
from bacalhau.cli.spec.job_flags import Template
from bacalhau.cli.spec.template import fill_template, template_values
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import Job
from bacalhau.models.text.grammar import parse_env
from bacalhau.models.text.jobfile import read_job_text


def read_template_file(call: Call[Template], *, quiet: bool = False) -> Job:
    """Read a job as `read_job_file` does, after its template is filled in."""
    flags = call.flags
    if flags.no_template:
        return read_job_file(call, quiet=quiet)
    given = merged_pairs("-V, --template-vars", flags.template_vars, parse_env)
    values = template_values(given, os.environ, flags.template_envs)
    return read_job_file(call, lambda text: fill_template(text, values), quiet=quiet)


def read_job_file(call: Call[Flags], fill: Callable[[str], str] = str, *, quiet: bool = False) -> Job:
    """Read the job of the file that is named, or of stdin, after `fill`; warnings go to stderr unless `quiet`.

    Raises BadRequest listing every fault.
    """
    text = fill(_text_of(call.args[0]) if call.args else _text_of_stdin())
    try:
        job, warnings = read_job_text(text, strict=True, check=_find_problems)
    except BadRequest as e:
        raise InvalidJob(e.problems, e.hint) from e
    for warning in () if quiet else warnings:
        say_warning(warning)
    return job


class InvalidJob(BadRequest):
    """A job that is refused, here or by the server."""

    def __init__(self, problems: Sequence[str], hint: str) -> None:
        super().__init__(problems, hint=hint)
        self.message = f"the job provided is invalid: {self.message}"


def _find_problems(job: Job) -> list[str]:
    """Check a job whose file is refused anyway: importing the checks of all plug-ins takes time."""
    found: list[str] = resolve("bacalhau.cli.job.checking:job_problems")(job)
    return found


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise BadRequest(f'opening job file ("{path}"): {(e.strerror or str(e)).lower()}') from e
    except UnicodeDecodeError as e:
        raise BadRequest(f'reading job file ("{path}"): it is no UTF-8 text') from e


def _text_of_stdin() -> str:
    if sys.stdin.isatty():
        say("Reading from /dev/stdin; send Ctrl-d to stop.", err=True)
    return read_stdin()
