"""A node may use subjects that hold its own id, and no other."""

import pytest

from bacalhau.bus.subject import check_node_id, from_node, permissions, sender
from bacalhau.lib.errors import BadRequest


@pytest.mark.parametrize("bad", ["", "a.b", "a*", ">", "a b", "a\tb", "a\r\nPUB x", "x" * 129])
def test_ids_that_would_be_more_than_one_token(bad):
    with pytest.raises(BadRequest):
        check_node_id(bad)


@pytest.mark.parametrize("good", ["n-16a7d70a-70d9-4755-8d2e-6229ac75cae6", "node_1", "ünode"])
def test_ids_that_are_fine(good):
    assert check_node_id(good) == good
    assert sender(from_node(good, "msgs")) == good


def test_every_permission_holds_the_id():
    may = permissions("n7", native=True)
    assert all(".n7." in subject for subject in (*may.publish, *may.subscribe))


def test_other_makes_have_the_library_inbox():
    assert "_INBOX.>" in permissions("n7", native=False).subscribe
    assert "_INBOX.>" not in permissions("n7", native=True).subscribe
