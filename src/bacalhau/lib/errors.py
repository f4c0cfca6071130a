"""The one tree of errors.

    BacalhauError(message or problems, code, retryable, hint)
    ├── BadRequest        the caller's input is wrong; all problems are listed before it is raised
    ├── NotFound          the named thing does not exist
    ├── Conflict          someone else changed it first, or its state forbids the change
    ├── Unauthorized      no or wrong credentials
    ├── Forbidden         known caller, not allowed
    ├── HandshakeRequired a node speaks that the orchestrator does not count as connected
    ├── Unavailable       a server, engine or registry cannot be reached right now
    │   └── EngineAway    an engine that a node offers, as long as it is away
    ├── EngineFailure     the container or module could not be run
    ├── StorageFailure    an input could not be brought
    ├── PublisherFailure  a result could not be published
    └── TimedOut          a limit given in the job or the configuration was reached

Adapters translate a vendor's errors in one place each, keeping the cause. The message is the root cause and
the first line a user sees; the hint says what to do and is the second.
"""

from collections.abc import Sequence
from typing import ClassVar, TypeVar


class BacalhauError(Exception):
    """An expected failure, told as one message or as a list of problems.

    `message` is what is shown: the problems, one a line. `retryable` tells whether the same attempt may succeed later
    or elsewhere; `code` is the kind's own, unless clients know this one by a closer word.
    """

    code: str = "InternalError"
    status: ClassVar[int] = 500
    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str | Sequence[str],
        *,
        hint: str = "",
        retryable: bool | None = None,
        component: str = "Bacalhau",
        code: str = "",
    ) -> None:
        self.problems = (message,) if isinstance(message, str) else tuple(message)
        self.message = "\n".join(self.problems)
        super().__init__(self.message)
        self.hint = hint
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.component = component
        self.code = code or type(self).code


class BadRequest(BacalhauError):
    code = "BadRequest"
    status = 400


class NotFound(BacalhauError):
    code = "NotFound"
    status = 404


class Conflict(BacalhauError):
    code = "ResourceInUse"
    status = 409


class Unauthorized(BacalhauError):
    code = "Unauthorized"
    status = 401


class Forbidden(BacalhauError):
    code = "Forbidden"
    status = 403


class HandshakeRequired(BacalhauError):
    code = "HandshakeRequired"
    status = 428
    retryable_by_default = True


class Unavailable(BacalhauError):
    code = "ServiceUnavailable"
    status = 503
    retryable_by_default = True


class EngineAway(Unavailable):
    """An engine that cannot be reached, on a node that offers it: no fault of the task."""


class EngineFailure(BacalhauError):
    code = "EngineFailure"


class StorageFailure(BacalhauError):
    code = "StorageFailure"


class PublisherFailure(BacalhauError):
    code = "PublisherFailure"


class TimedOut(BacalhauError):
    code = "TimeOut"
    status = 504


E = TypeVar("E", bound=BaseException)


def with_hint(error: E) -> E:
    """Have `str` of an error tell its hint in a second line, and return the error: programs show no more than that."""
    if isinstance(error, BacalhauError) and error.hint:
        error.args = (f"{error.message}\n{error.hint}",)
    return error
