"""A command of the administrator's that says whether a job is taken: exit code 0 takes it, what it writes to stderr is
the reason else.
"""

import asyncio
import os
import signal
from contextlib import suppress

VARIABLE = "BACALHAU_JOB_SELECTION_PROBE_DATA"
SECONDS = 30.0
_LONGEST_VARIABLE = 128 * 1024 - len(VARIABLE) - 2  # the kernel's limit for one string of the environment
_LONGEST_REASON = 500


class CommandProbe:
    """A Probe. The job is on stdin, and in VARIABLE where it is not too large for one."""

    def __init__(self, command: str, seconds: float = SECONDS) -> None:
        self._command, self._seconds = command, seconds

    async def ask(self, job: bytes) -> str:
        variables = {"PATH": os.environ.get("PATH", os.defpath)}
        if len(job) <= _LONGEST_VARIABLE:
            variables[VARIABLE] = job.decode()
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            # asyncio's pipe to stdin is a socket, which bash takes for a remote shell's and would read the user's own
            # file for.
            child = await asyncio.create_subprocess_exec(
                "bash",
                "--norc",
                "-c",
                self._command,
                stdin=pipe,
                stdout=nowhere,
                stderr=pipe,
                env=variables,
                start_new_session=True,
            )
        except OSError as e:
            return f"the admission command cannot be run: {e.strerror or e}"
        try:
            async with asyncio.timeout(self._seconds):
                _, said = await child.communicate(job)
        except TimeoutError:
            return f"the admission command did not answer within {self._seconds:g} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        reason = said.decode(errors="replace").strip()[:_LONGEST_REASON]
        return (
            (reason or f"the admission command refused the job with exit code {child.returncode}")
            if child.returncode
            else ""
        )
