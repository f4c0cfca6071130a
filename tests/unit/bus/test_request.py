"""An error that crosses the wire comes out as the same error."""

import pytest

from bacalhau.bus.envelope import pack, stamp
from bacalhau.bus.request import from_bac_error, read_reply, to_bac_error
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, Forbidden, NotFound, StorageFailure, TimedOut, Unauthorized, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.messages import BacError

KINDS = [BacalhauError, BadRequest, NotFound, Conflict, Unauthorized, Forbidden, Unavailable, StorageFailure, TimedOut]


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind):
    error = kind("the cause", hint="the cure", retryable=True, component="Room")
    again = from_bac_error(to_bac_error(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.retryable, again.component) == ("the cause", "the cure", True, "Room")


def test_unknown_code_keeps_its_name():
    error = from_bac_error(BacError(cause="who are you", code="HandshakeRequired", http_status_code=428, retryable=True))
    assert (error.code, error.status, error.retryable) == ("HandshakeRequired", 428, True)


def test_error_reply_is_raised():
    with pytest.raises(NotFound, match="nothing"):
        read_reply(pack(encode(to_bac_error(NotFound("nothing"))), stamp("BacError", "o", 1)))


def test_unreadable_reply():
    with pytest.raises(Unavailable, match="too short"):
        read_reply(b"")
