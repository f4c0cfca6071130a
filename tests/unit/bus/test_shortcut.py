"""The way past the message server leads to the other end in this process, while its connection stands, and nowhere
else.
"""

import pytest

from bacalhau.bus.shortcut import Shortcut


class End:
    def __init__(self, is_up=True):
        self.is_up = is_up


def receive(msg):
    """Stands for a receiver."""


def other(msg):
    """Stands for another one."""


@pytest.fixture
def ends():
    shortcut, orchestrator, node = Shortcut(), End(), End()
    shortcut.add(orchestrator, {"root.*.out.msgs": receive, "_ACK.*.token.*": receive, "callout": receive})
    shortcut.admit("n")
    shortcut.add(node, {"root.n.in.msgs": other, "_NODE.n.life.*": other})
    return shortcut, orchestrator, node


@pytest.mark.parametrize(
    ("subject", "to_orchestrator", "to_node"),
    [
        ("root.n.out.msgs", receive, None),
        ("_ACK.n.token.1f", receive, None),
        ("root.n.in.msgs", None, other),
        ("_NODE.n.life.0", None, other),
        ("root.m.out.msgs", None, None),
        ("root.m.in.msgs", None, None),
        ("_ACK.n.other.1", None, None),
        ("root.n.out.msgs.more", None, None),
        ("callout", None, None),
        ("n", None, None),
    ],
)
def test_a_subject_leads_to_the_other_end(ends, subject, to_orchestrator, to_node):
    shortcut, orchestrator, node = ends
    assert shortcut.find(node, subject) is to_orchestrator
    assert shortcut.find(orchestrator, subject) is to_node


def test_an_end_without_connection_is_not_reached(ends):
    shortcut, orchestrator, node = ends
    orchestrator.is_up = False
    assert shortcut.find(node, "root.n.out.msgs") is None
    assert shortcut.find(orchestrator, "root.n.in.msgs") is other


def test_who_stops_listening_is_not_reached(ends):
    shortcut, _orchestrator, node = ends
    shortcut.remove(["root.*.out.msgs", "never.there"])
    assert shortcut.find(node, "root.n.out.msgs") is None
    assert shortcut.find(node, "_ACK.n.token.0") is receive
