"""`docker run`, `create`, `job run` and `job rerun`: a job is made, submitted, and waited for.

Exit code 1 when the job fails; a container's own code does not. Ctrl-C ends the command with 130, the job goes on.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from bacalhau.cli.frame import interrupts
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import say_error, say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import JobRun, Rerun
from bacalhau.cli.job.docker import DockerRun
from bacalhau.cli.job.dry_run import say_difference, say_job
from bacalhau.cli.job.fetch import Destination, fetch
from bacalhau.cli.job.flags import Download, Waiting
from bacalhau.cli.job.older import Create
from bacalhau.cli.job.wasm import WasmRun
from bacalhau.cli.output.block import is_live
from bacalhau.cli.output.outcome import (
    cause_of,
    exit_code_of,
    say_exit_codes,
    say_nodes,
    say_results,
    wants_code,
)
from bacalhau.cli.output.printing import LogPrinter, has_several
from bacalhau.cli.output.render import yaml_text
from bacalhau.cli.output.steps import Account, Events, GroupedEvents, Silence, Steps
from bacalhau.cli.output.telling import Teller
from bacalhau.cli.spec.flags import job_of_flags, read_reuse
from bacalhau.cli.spec.job_file import InvalidJob, read_job_file, read_template_file
from bacalhau.cli.spec.wasm import wasm_job
from bacalhau.client.client import AsyncClient
from bacalhau.client.results import check_folder
from bacalhau.lib.aio import background
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, Unavailable
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.state import JobStateType
from bacalhau.models.seed.view import seed_dry_run
from bacalhau.models.wire.api import FORCE_HINT, PutJobResponse, RerunJobResponse

_AGAIN = "`bacalhau job rerun ID` runs it again; or change the job, or its name"
_INTERRUPT = "(Enter Ctrl+C to exit at any time, your job will continue running):"

_INTERRUPT_BRIEF = "(Ctrl+C to exit, the job continues running):"  # in one line of a terminal


class Ask(NamedTuple):
    """A request that submits a job, and how many executions the job wants; 0 where nobody knows it."""

    send: Callable[[AsyncClient], Awaitable[PutJobResponse | RerunJobResponse]]
    wanted: int = 0


class Words(NamedTuple):
    """The names of a generation's commands."""

    describe: str
    executions: str
    get: str
    stop: str


SEED = Words("bacalhau describe", "", "bacalhau get", "bacalhau cancel")
MODERN = Words("bacalhau job describe", "bacalhau job executions", "bacalhau job get", "bacalhau job stop")


def docker_run(call: Call[DockerRun]) -> int:
    image = call.args[0]
    job = job_of_flags(call.flags, call.args)
    if ":" not in image and "@" not in image and not call.flags.id_only:
        say("Using default tag: latest. Please specify a tag/digest for better reproducibility.", err=True)
    if call.flags.dry_run:
        return say_job(job)
    return Submission(call, _put(job), SEED, call.flags).run()


def wasm_run(call: Call[WasmRun]) -> int:
    job = wasm_job(call.flags, call.args)
    return say_job(job) if call.flags.dry_run else Submission(call, _put(job), MODERN, call.flags).run()


def create(call: Call[Create]) -> int:
    job = read_job_file(call, quiet=call.flags.id_only)
    if call.flags.dry_run:
        say(yaml_text(seed_dry_run(job)), nl=False)
        return 0
    return Submission(call, _put(job), SEED, call.flags).run()


def job_run(call: Call[JobRun]) -> int:
    job = read_template_file(call, quiet=call.flags.id_only)
    job = replace(job, reuse=read_reuse(call.flags, job.reuse))
    if call.flags.dry_run:
        return say_difference(call, job)
    hide_warnings = call.flags.hide_warnings
    return Submission(call, _put(job, force=call.flags.force), MODERN, hide_warnings=hide_warnings).run()


def job_rerun(call: Call[Rerun]) -> int:
    async def ask(client: AsyncClient) -> RerunJobResponse:
        flags = call.flags
        return await client.rerun(
            call.args[0], version=flags.version, same_inputs=flags.same_inputs, namespace=flags.namespace
        )

    return Submission(call, Ask(ask), MODERN).run()


def _put(job: Job, *, force: bool | None = None) -> Ask:
    """Make the request that submits a job. `force` is None for commands that cannot submit an unchanged one."""

    async def ask(client: AsyncClient) -> PutJobResponse:
        try:
            return await client.put_job(job, force=bool(force))
        except BadRequest as e:
            raise InvalidJob(e.problems, e.hint) from e
        except Conflict as e:
            raise e if force is not None else Conflict(e.message, hint=e.hint.replace(FORCE_HINT, _AGAIN)) from e

    return Ask(ask, 0 if job.type in EVERYWHERE else job.wanted)


class Submission:
    """One job from submission to its end. `download` holds the flags of commands that can fetch results, too."""

    def __init__(
        self,
        call: Call[Waiting],
        ask: Ask,
        words: Words,
        download: Download | None = None,
        *,
        hide_warnings: bool = False,
    ) -> None:
        self._call = call
        self._flags = call.flags
        self._ask = ask
        self._wants_code = wants_code(os.environ, exit_code=call.flags.exit_code, wait=call.flags.wait)
        self._words = words
        self._quiet = call.flags.id_only
        self._download = download if download and download.download else None
        self._hide_warnings = hide_warnings or self._quiet
        self._id = ""
        self._events: list[JobHistory] = []
        self._began = time.monotonic()

    def run(self) -> int:
        """Submit and wait; the exit code. The folder for results is checked before the job is submitted."""
        if self._download and self._download.output_dir:
            check_folder(Path(self._download.output_dir))
        try:
            return asyncio.run(self._submit_and_wait())
        except KeyboardInterrupt:
            self._say_interrupted()
            return interrupts.exit_code()

    async def _submit_and_wait(self) -> int:
        async with connect(self._call.settings) as client:
            account = self._account()
            await self._submit(client)
            if not self._flags.wait:
                say(self._id)
                return 0
            self._say_submitted()
            if self._flags.follow:
                return await self._follow(client)
            if isinstance(account, Steps):
                account.begin("Communicating with the network")
            job = await self._wait(client, account)
            return await self._conclude(client, job)

    def _account(self) -> Account:
        """Choose what is printed on stdout; where stdout is the terminal of the live block, that tells it all."""
        if self._quiet:
            return Silence()
        if self._flags.group_events:
            return GroupedEvents()
        if is_live(sys.stdout) and is_live(sys.stderr):
            return Silence()
        return Steps() if self._words is SEED else Events()

    async def _submit(self, client: AsyncClient) -> None:
        answer = await self._ask.send(client)
        self._id = answer.job_id
        for warning in () if self._hide_warnings else answer.warnings or ():
            say_warning(warning)

    def _say_submitted(self) -> None:
        if self._quiet:
            say(self._id)
        else:
            doing = "Waiting for logs..." if self._flags.follow else "Checking job status..."
            interrupt = _INTERRUPT_BRIEF if is_live(sys.stdout) else _INTERRUPT
            say(f"Job successfully submitted. Job ID: {self._id}\n{doing} {interrupt}\n")
        sys.stdout.flush()

    async def _follow(self, client: AsyncClient) -> int:
        """Print the output as it comes, until the job ends. A terminal shows how far the job is meanwhile."""
        several = has_several(await client.get_job(self._id))
        printer = LogPrinter(apart=True, named=several)
        teller = self._teller(Silence())
        failure: BacalhauError | None = None
        try:
            async with background(*(self._drawing(client, teller) if is_live(sys.stderr) else ())):
                async for piece in client.log_pieces(self._id, follow=True, wide=several):
                    teller.beside(partial(printer.print, piece))
        except Unavailable:
            raise
        except BacalhauError as e:  # the job's own end tells more
            failure = e
        finally:
            teller.close()
            printer.close()
        code = await self._conclude(client, await self._wait(client, Silence()), trailer=False)
        if failure and not code:
            raise failure
        return code

    def _drawing(self, client: AsyncClient, teller: Teller) -> tuple[Coroutine[Any, Any, Job], ...]:
        return (client.wait(self._id, on_event=teller.news, on_away=teller.away),)

    def _teller(self, account: Account) -> Teller:
        return Teller(account, self._id, quiet=self._quiet, follow=self._flags.follow, wanted=self._ask.wanted)

    async def _wait(self, client: AsyncClient, account: Account) -> Job:
        teller = self._teller(account)
        try:
            job = await client.wait(self._id, on_event=teller.news, on_away=teller.away)
        finally:
            teller.close()
        self._events += teller.events
        account.end(job)
        return job

    async def _conclude(self, client: AsyncClient, job: Job, *, trailer: bool = True) -> int:
        """Print how the job ended and fetch its results; the exit code."""
        code = self._verdict(job)
        executions = await client.executions(job.id)
        has_results = any(e.published_result.type for e in executions)
        if not self._quiet:
            if trailer and is_live(sys.stdout) and not code:
                say_results(executions, time.monotonic() - self._began)
            say_exit_codes(executions)
        if self._flags.node_details or (code and trailer and not self._quiet):
            say_nodes(executions)
        if trailer and not self._quiet:
            self._say_what_next(has_results=has_results)
        if self._download and has_results:
            await fetch(client, job.id, Destination.of_flags(self._download, job.id), shout=not self._quiet)
        return exit_code_of(executions, code) if self._wants_code else code

    def _verdict(self, job: Job) -> int:
        if job.state.state_type in (JobStateType.FAILED, JobStateType.STOPPED):
            return say_error(*cause_of(job, self._events))
        return 0

    def _say_what_next(self, *, has_results: bool) -> None:
        words = self._words
        get = f"\nTo download the results, execute:\n\t{words.get} {self._id}" if has_results else ""
        describe = f"\nTo get more details about the run, execute:\n\t{words.describe} {self._id}"
        executions = (
            f"\nTo get more details about the run executions, execute:\n\t{words.executions} {self._id}"
            if words.executions
            else ""
        )
        for text in (describe, executions, get) if words is MODERN else (get, describe):
            if text:
                say(text)

    def _say_interrupted(self) -> None:
        if not self._id:
            say("interrupted before the server answered; `bacalhau job list` shows whether the job is there", err=True)
            return
        if self._quiet:
            say(f"job {self._id} goes on; `{self._words.stop} {self._id}` stops it", err=True)
            return
        say("\n\nPrintout canceled (the job is still running).")
        say(f"\nTo get more information at any time, run:\n   {self._words.describe} {self._id}")
        say(f"\nTo cancel the job, run:\n   {self._words.stop} {self._id}")
