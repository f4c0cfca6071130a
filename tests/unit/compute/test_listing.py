"""A node lists an input a page at a time, and says in time why it cannot."""

import asyncio
from types import SimpleNamespace

import pytest

from bacalhau.compute.messages import listing
from bacalhau.compute.messages.listing import list_input
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing
from bacalhau.models.job.inventory import unpack_rows
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ListInputRequest
from bacalhau.ports.storage import Access, Entry, ListedPage, Sharing


class Source:
    """A source whose every attempt ends as `attempt` says."""

    def __init__(self, attempt):
        self._attempt = attempt

    async def list_page(self, source, after):
        return await Effort(USUAL).persist(self._attempt)

    def sharing(self, source, count):
        return Sharing()

    async def access(self, source):
        return Access("profile research (AKIA…abcd)", "eu-west-1")


async def ask(attempt, **more):
    node = SimpleNamespace(plugins=SimpleNamespace(sources={"box": Source(attempt)}))
    question = ListInputRequest(input=InputSource(source=SpecConfig(type="box"), target="/in"), seconds=0.3, **more)
    return await list_input(node, question)


async def one_page():
    return ListedPage((Entry("a", "a", 1),), ("more",))


async def test_the_first_page_says_as_whom_the_node_reads_and_where():
    first, later = await ask(one_page), await ask(one_page, place="more")
    assert (first.identity, first.region) == ("profile research (AKIA…abcd)", "eu-west-1")
    assert (later.identity, later.region) == ("", "")
    assert [row.key for row in unpack_rows(first.page)] == ["a"] and first.following == ("more",)


@pytest.mark.parametrize("heard", [True, False])
async def test_what_may_pass_is_told_in_time_with_its_cause(heard):
    async def attempt():
        fault = Fault("the store answers 503", answered=heard)
        raise Passing("the store at http://x answers 503", hint="wait").because(fault)

    answer = await ask(attempt)
    assert (answer.fault, answer.hint, answer.is_heard) == ("the store at http://x answers 503", "wait", heard)
    assert not answer.page


async def test_a_server_that_says_nothing_is_told_in_time(monkeypatch):
    monkeypatch.setattr(listing, "LONGEST", 0.4)
    assert (await ask(asyncio.Event().wait)).fault == "box: no answer within 0.4 s"


async def test_what_will_not_pass_is_an_error():
    async def attempt():
        raise StorageFailure("bucket b does not exist")

    with pytest.raises(StorageFailure, match="bucket b does not exist"):
        await ask(attempt)
