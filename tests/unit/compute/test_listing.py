"""A node lists an input a page at a time, and says in time why it cannot."""

import asyncio
from types import SimpleNamespace

import pytest

from bacalhau.compute.messages import listing
from bacalhau.compute.messages.listing import list_input
from bacalhau.compute.state.ahead import MOST, PagesAhead
from bacalhau.lib.aio import crew
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


def about(target="/in", **more):
    return ListInputRequest(input=InputSource(source=SpecConfig(type="box"), target=target), seconds=0.3, **more)


def make_node(source, crew):
    return SimpleNamespace(plugins=SimpleNamespace(sources={"box": source}), ahead=PagesAhead(), crew=crew)


async def ask(attempt, **more):
    async with crew() as workers:
        return await list_input(make_node(Source(attempt), workers), about(**more))


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


class Book(Source):
    """A source of numbered pages, each of which may fail once. `listed` are the pages in the order of their requests,
    and `turned` is set at each.
    """

    def __init__(self, pages, failing=()):
        self._pages, self._failing = pages, set(failing)
        self.listed, self.turned = [], asyncio.Event()

    async def list_page(self, source, after):
        number = int(after or 0)
        self.listed.append(number)
        self.turned.set()
        if number in self._failing:
            self._failing.discard(number)
            raise StorageFailure(f"page {number} is torn")
        return ListedPage((Entry(str(number), str(number), 1),), (str(number + 1),) if number + 1 < self._pages else ())


async def read_all(node, **more):
    found, place = [], [""]
    while place:
        answer = await list_input(node, about(place=place.pop(), **more))
        found += [row.key for row in unpack_rows(answer.page)]
        place = list(answer.following)
    return found


async def test_the_next_page_is_read_before_it_is_asked_for_and_only_once():
    async with crew() as workers:
        book = Book(5)
        node = make_node(book, workers)
        answer = await list_input(node, about())
        book.turned.clear()
        await book.turned.wait()
        assert (answer.following, book.listed) == (("1",), [0, 1])
        assert await read_all(node) == ["0", "1", "2", "3", "4"]
        assert sorted(book.listed) == [0, 0, 1, 1, 2, 3, 4]  # the listing from the start is another one


async def test_another_question_does_not_get_a_page_that_was_read_for_this_one():
    async with crew() as workers:
        book = Book(2)
        node = make_node(book, workers)
        await list_input(node, about())
        for other in ({"namespace": "others"}, {"target": "/elsewhere"}, {"count": 3}):
            book.listed.clear()
            await list_input(node, about(place="1", **other))
            assert 1 in book.listed, other


async def test_a_page_that_failed_ahead_is_listed_again_when_it_is_asked_for():
    async with crew() as workers:
        assert await read_all(make_node(Book(4, failing={2}), workers)) == ["0", "1", "2", "3"]


async def test_pages_that_nobody_asks_for_do_not_heap_up():
    async with crew() as workers:
        ahead, never = PagesAhead(), asyncio.Event()
        pages = [workers.start(never.wait()) for _ in range(MOST + 5)]
        for number, page in enumerate(pages):
            ahead.put(about(place=str(number)), page)
        await asyncio.wait(pages[:5])
        assert [page.cancelled() for page in pages] == [True] * 5 + [False] * MOST
        assert ahead.take(about(place="4")) is None and ahead.take(about(place="5")) is pages[5]
