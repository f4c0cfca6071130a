"""What of an execution's output goes into the next message."""

import pytest

from bacalhau.border.order import Order
from bacalhau.compute.state.printed import BATCH, PARTS, Printed, Shipping, read_batch
from bacalhau.models.execution.execution import RunCommandResult
from bacalhau.models.wire.messages import LogEnd, PutLogsResponse
from bacalhau.ports.logs import Offsets


def printed(folder, execution_id="e", stdout=b"", stderr=b""):
    result = folder / execution_id / "result"
    result.mkdir(parents=True)
    (result / "stdout").write_bytes(stdout)
    (result / "stderr").write_bytes(stderr)


def batch(folder, log, limit=0):
    found = read_batch(folder, [("e", log)], limit)
    return [(p.stream, p.offset, p.data) for p in found.parts], found.ended


def test_both_streams_from_where_the_copy_ends(tmp_path):
    printed(tmp_path, stdout=b"0123456789", stderr=b"abc")
    assert batch(tmp_path, Printed()) == ([(1, 0, b"0123456789"), (2, 0, b"abc")], ())
    assert batch(tmp_path, Printed(end=Offsets(8, 3), is_over=True)) == ([(1, 8, b"89")], ())
    assert batch(tmp_path, Printed(end=Offsets(10, 3), is_over=True)) == ([], ("e",))
    assert batch(tmp_path, Printed(end=Offsets(12, 3))) == ([], ())
    assert batch(tmp_path, Printed(end=None)) == ([(0, 0, b"")], ())


def test_streams_that_take_turns_are_sent_in_that_order_in_bounded_messages(tmp_path):
    printed(tmp_path, stdout=b"o" * 3000, stderr=b"e" * 3000)
    order = Order(tmp_path / "e" / "order")
    for number in range(3000):
        order.note(1, number + 1)
        order.note(2, number + 1)
    order.close()
    parts, _ = batch(tmp_path, Printed(end=Offsets(1, 0)))
    assert parts[:4] == [(2, 0, b"e"), (1, 1, b"o"), (2, 1, b"e"), (1, 2, b"o")] and len(parts) == PARTS


def test_a_message_has_its_size_and_many_share_it(tmp_path):
    for number in range(4):
        printed(tmp_path, f"e-{number}", stdout=b"x" * BATCH)
    found = read_batch(tmp_path, [(f"e-{number}", Printed()) for number in range(4)], 0)
    assert [len(p.data) for p in found.parts] == [BATCH // 4] * 4


def test_what_is_far_behind_a_full_copy_is_left_out(tmp_path):
    printed(tmp_path, stdout=b"x" * 1000 + b"tail")
    assert batch(tmp_path, Printed(end=Offsets(50, 0)), limit=100) == ([(1, 954, b"x" * 46 + b"tail")], ())
    assert batch(tmp_path, Printed(end=Offsets(49, 0)), limit=100)[0][0][1] == 49


@pytest.mark.parametrize(
    ("output", "is_sent"),
    [
        (RunCommandResult(stdout="all"), False),
        (RunCommandResult(stdout="part", stdout_truncated=True), True),
        (RunCommandResult(stderr="no \ufffd text"), True),
        (None, True),
    ],
)
def test_what_the_record_holds_is_not_sent_again(output, is_sent):
    shipping = Shipping()
    shipping.begin("e")
    assert shipping.due() == []
    shipping.end("e", output)
    assert [i for i, _ in shipping.due()] == (["e"] if is_sent else [])


def test_an_ended_log_is_forgotten_when_the_orchestrator_has_all_or_wants_nothing():
    shipping = Shipping()
    for execution_id in ("whole", "unwanted", "more"):
        shipping.begin(execution_id)
        shipping.end(execution_id, None)
    ends = (
        LogEnd(execution_id="whole", stdout=3),
        LogEnd(execution_id="unwanted", unwanted=True),
        LogEnd(execution_id="more", stdout=1),
    )
    shipping.note(PutLogsResponse(ends=ends, limit=7), ["whole"])
    assert (list(shipping.logs), shipping.logs["more"].end, shipping.limit) == (["more"], Offsets(1, 0), 7)
