"""What the rest of the system may take for granted about every plug-in."""

from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.registry import LOCATED, SOURCE_CHECKS, SOURCES, WHOLE_CHECKS, Setting
from bacalhau.ports.storage import Located


def test_every_source_that_can_say_what_is_here_is_asked_but_the_one_that_travels_with_the_job(tmp_path):
    setting = Setting(BlockStore(tmp_path))
    assert {kind for kind, make in SOURCES.items() if isinstance(make(setting), Located)} == LOCATED | {"inline"}


def test_every_source_is_checked():
    assert SOURCE_CHECKS.keys() == SOURCES.keys() >= WHOLE_CHECKS.keys()
