"""Patience with servers that are away, overloaded or break off.

Work that moves bytes goes on while bytes move. It ends when there was no progress for too long, not after a number of
failures: a server that restarts is away for a minute, and hours of computing may wait for it. Between two attempts
stands a pause that grows, is never in step with others, and is as long as the server asked for. `next_pause` decides,
and knows no clock; `Effort` is one piece of work that goes on by it.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar

from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.lib.units import show_duration

LONGEST_ASKED = 120.0  # seconds that a server may ask for; it may be well again before
_LONGEST_SILENCE = 60.0  # seconds after which a connection that moves no byte is taken for dead
T = TypeVar("T")


class Patience(NamedTuple):
    """A measure of patience.

    Work ends when `seconds` went by without progress, or `unheard` seconds where the server has not answered once: its
    name may be misspelt. `attempts` further attempts are made in any case. Pauses grow from `first` to `longest`
    seconds.
    """

    seconds: float = 600.0
    unheard: float = 60.0
    attempts: int = 3
    first: float = 0.2
    longest: float = 20.0

    def within(self, seconds: float) -> "Patience":
        """Return the same patience, but for at most so many seconds."""
        if seconds == math.inf:
            return self
        return self._replace(seconds=min(self.seconds, seconds), unheard=min(self.unheard, seconds), attempts=0)

    @property
    def silence(self) -> float:
        """Tell how many seconds one attempt bears in which no byte moves."""
        return min(self.seconds, _LONGEST_SILENCE) or _LONGEST_SILENCE


USUAL = Patience()
_hurry: ContextVar[float] = ContextVar("hurry", default=math.inf)
DOWNLOAD = Patience(unheard=10.0)
"""The patience of a person who fetches a result and may have to be told of another way."""


@contextmanager
def hurried(seconds: float) -> Iterator[None]:
    """Let every effort inside the block give up after so many seconds, whatever its own patience: somebody waits for
    the answer, and a reason is one.
    """
    token = _hurry.set(seconds)
    try:
        yield
    finally:
        _hurry.reset(token)


def _silent(text: str) -> None:
    """The listener of work that tells nobody."""


_listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=_silent)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Have work inside the block that reports to nobody else tell `listener` what it waits for, "" while it goes on."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell_wait(note: str) -> None:
    """Tell what work waits for to those who listen around it."""
    _listener.get()(note)


class Fault(NamedTuple):
    """A failure that may pass by itself.

    `text` says it in a few words, as in "the store answers 503"; `asked` is how many seconds the server asked to wait;
    `answered` is False where nobody answered.
    """

    text: str
    asked: float = 0.0
    answered: bool = True


class Standstill(NamedTuple):
    """The time since work came forward, in seconds, how often it failed since, and whether its server ever answered."""

    seconds: float
    failures: int
    heard: bool


def next_pause(patience: Patience, fault: Fault, still: Standstill, chance: float) -> float | None:
    """Decide how many seconds to wait before the next attempt; None when it was the last.

    `chance` is a random number from 0 to 1.
    """
    left = (patience.seconds if still.heard else min(patience.seconds, patience.unheard)) - still.seconds
    if left <= 0 and still.failures > patience.attempts:
        return None
    grown = min(patience.longest, patience.first * 2.0 ** min(max(still.failures - 1, 0), 30)) * (0.5 + 0.5 * chance)
    wanted = max(grown, min(fault.asked, LONGEST_ASKED) * (1 + 0.1 * chance))
    return min(wanted, left) if left > 0 else wanted


def asked_seconds(retry_after: str, now: int) -> float:
    """Read a Retry-After header: seconds, or the date until which to wait. What is neither asks for nothing.

    `now` is Unix ns.
    """
    if retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after[:9]), LONGEST_ASKED)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until.timestamp() - now / 1e9, 0.0), LONGEST_ASKED)


class Passing(StorageFailure):
    """A failure that may pass by itself; an `Effort` tries again while its patience lasts."""

    retryable_by_default = True
    fault = Fault("the server cannot be reached", answered=False)

    def because(self, fault: Fault) -> "Passing":
        """Set what the pause before the next attempt depends on."""
        self.fault = fault
        return self


@contextmanager
def passing_failures() -> Iterator[None]:
    """Make what fails in the block, and may be tried again, a failure that an `Effort` tries again."""
    try:
        yield
    except BacalhauError as e:
        if not e.retryable:
            raise
        raise Passing(e.message, hint=e.hint).because(Fault(e.message)) from e


class GaveUp(StorageFailure):
    """The end of an effort whose patience is over. Trying the same again at once is of no use; later it may be.

    `cause` is the failure of the last attempt, and `heard` tells whether the server had ever answered.
    """

    retryable_by_default = True
    cause: Passing
    heard: bool = False


class Effort:
    """One piece of work, such as the staging of an input, whose requests share their patience.

    `tell` is given what the work waits for, as in "the store answers 503, again in 8 s"; without it those who listen
    around the work are told. `heard`: the server is known to be there.
    """

    def __init__(self, patience: Patience, tell: Callable[[str], None] = tell_wait, *, heard: bool = False) -> None:
        self.patience, self._tell, self._heard = patience, tell, heard
        self._since: float | None = None

    def advance(self) -> None:
        """Note progress."""
        self._since, self._heard = None, True

    async def pause(self, fault: Fault, failures: int) -> bool:
        """Wait before the next attempt; return False at once when it was the last.

        `failures` counts the attempts that failed since this part of the work came forward.
        """
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        self._heard = self._heard or fault.answered
        still = Standstill(now - self._since, failures, self._heard)
        seconds = next_pause(self.patience.within(_hurry.get()), fault, still, random.random())
        if seconds is None:
            return False
        self._tell(f"{fault.text}, again in {math.ceil(seconds)} s")
        await asyncio.sleep(seconds)
        return True

    async def persist(self, attempt: Callable[[], Awaitable[T]], reached: Callable[[], int] = lambda: 0) -> T:
        """Attempt it until it is done. `reached` (bytes) tells whether a failed attempt came further than those before.

        Raises GaveUp when patience is over, and at once what cannot pass.
        """
        failures, attempts, best = 0, 0, reached()
        while True:
            try:
                done = await attempt()
            except Passing as e:
                attempts += 1
                failures += 1
                if (now := reached()) > best:
                    failures, best = 0, now
                    self.advance()
                if not await self.pause(e.fault, failures):
                    raise self._given_up(e, attempts) from e
            else:
                self.advance()
                return done

    def _given_up(self, failure: Passing, attempts: int) -> GaveUp:
        waited = round(asyncio.get_running_loop().time() - (self._since or 0.0))
        still = f", {show_duration(waited)} without progress" if waited else ""
        told = f" (gave up after {attempts} attempts{still})" if attempts > 1 else ""
        error = GaveUp(failure.message + told, hint=failure.hint, component=failure.component)
        error.cause, error.heard = failure, self._heard
        return error
