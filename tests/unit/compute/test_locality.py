"""What a node tells of the inputs it has: quickly, and never more than it knows."""

from functools import partial

import pytest

from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.messages.questions import GLANCE, on_request
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BadRequest, StorageFailure, Unavailable
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import HeartbeatRequest, InputPresence, LocateInputsRequest, LocateInputsResponse
from bacalhau.plugins.local.source import LocalSource
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.bus import Delivery


class Fails:
    """A Located that cannot say."""

    def __init__(self, error):
        self.error = error

    async def is_here(self, source):
        raise self.error


@pytest.fixture
async def ask(tmp_path):
    """What a node with these sources answers about the types and paths."""
    (tmp_path / "data").mkdir()
    sources = {
        "local": LocalSource([str(tmp_path / "data")]),
        "urldownload": UrlSource(),
        "down": Fails(Unavailable("Kubo is away")),
        "flaky": Fails(StorageFailure("for the moment", retryable=True)),
        "slow": Fails(TimeoutError()),
    }
    async with crew() as people:
        node = ComputeNode("n-1", tmp_path, None, None, Plugins({}, sources, {}), Capacity(Resources()), people)

        async def answer(*asked):
            specs = tuple(SpecConfig(type=kind, params={"SourcePath": str(tmp_path / path)}) for kind, path in asked)
            return (await on_request(node, Delivery("n-1", "", LocateInputsRequest(sources=specs)))).places

        answer.raw = partial(on_request, node)
        yield answer


async def test_each_source_has_its_own_answer(ask, tmp_path):
    assert await ask(("Local", "data"), ("local", "none"), ("urlDownload", "data"), ("nope", "data")) == (
        InputPresence(here=True),
        InputPresence(error=f"volume {tmp_path / 'none'} is not allowlisted"),
        InputPresence(),
        InputPresence(),
    )
    assert await ask() == LocateInputsResponse().places


async def test_what_cannot_be_told_now_is_not_said_to_be_missing(ask):
    assert GLANCE < 1
    assert await ask(("down", ""), ("flaky", ""), ("slow", "")) == (InputPresence(),) * 3


async def test_what_is_no_question_for_a_node(ask):
    with pytest.raises(BadRequest, match="a node does not answer Heartbeat"):
        await ask.raw(Delivery("n-1", "Heartbeat", HeartbeatRequest()))
