"""A web service of the administrator's that says whether a job is taken: a status of 400 or more refuses it, so does
`ShouldBid: false`.
"""

from typing import Any

import aiohttp

from bacalhau.border.connect import open_session
from bacalhau.lib.aio import read_up_to
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.network import network_fault
from bacalhau.lib.wire import Model, convert_all, decode, fold_keys

SECONDS = 30.0
_HEADERS = {"Content-Type": "application/json"}
_LONGEST_ANSWER = 1 << 20
_LONGEST_REASON = 500


class _Answer(Model):
    should_bid: bool = True
    reason: str = ""


class WebProbe:
    """A Probe. The job is POSTed as JSON; an answer that is no such object takes the job."""

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        self._url, self._seconds = url, seconds

    async def ask(self, job: bytes) -> str:
        limit = aiohttp.ClientTimeout(total=self._seconds)
        try:
            async with (
                open_session(timeout=limit) as session,
                session.post(self._url, data=job, headers=_HEADERS) as response,
            ):
                return _reason(response.status, await read_up_to(_LONGEST_ANSWER, response.content.iter_any()))
        except TimeoutError:
            return f"the admission service did not answer within {self._seconds:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as e:
            return f"the admission service cannot be reached: {network_fault(e)}"


def _reason(status: int, body: bytes) -> str:
    answer = _read(body)
    if status >= 400:
        return answer.reason[:_LONGEST_REASON] or f"the admission service refused the job with status {status}"
    return "" if answer.should_bid else answer.reason[:_LONGEST_REASON] or "the admission service refused the job"


def _read(body: bytes) -> _Answer:
    try:
        found = decode(body, Any)
        folded, _ = fold_keys(found, _Answer)
        return convert_all({name: folded[name] for name in ("ShouldBid", "Reason") if name in folded}, _Answer)
    except (ValueError, TypeError, BadRequest):
        return _Answer()
