"""A window sends what it was given, in order and side by side, until each item is acknowledged."""

import asyncio

import pytest

from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.window import IN_FLIGHT, Window

pytestmark = pytest.mark.anyio


class Post:
    """Acknowledges what it is told to; `tries` is what it was given, in order."""

    def __init__(self):
        self.tries, self.answers, self.news = [], {}, Signal()

    async def send(self, item):
        self.tries.append(item)
        self.news.fire()
        self.answers[item] = asyncio.get_running_loop().create_future()
        return await self.answers[item]

    async def until_tried(self, *items):
        """The same items, in whatever order they were started."""
        while sorted(self.tries) != list(items):
            assert await self.news.wait(10), self.tries

    def answer(self, item, good):
        self.answers[item].set_result(good)


async def test_nothing_is_sent_before_it_begins_and_is_open():
    post, window = Post(), Window()
    window.put(1)
    async with crew() as working:
        window.begin(working, post.send)
        assert (post.tries, window.unacknowledged()) == ([], [1])
        window.open()
        await post.until_tried(1)


async def test_an_item_does_not_wait_for_the_answer_to_the_one_before():
    post, window = Post(), Window()
    async with crew() as working:
        window.begin(working, post.send)
        window.open()
        window.put(1)
        await post.until_tried(1)
        window.put(2)
        await post.until_tried(1, 2)
        post.answer(2, True)
        window.put(3)
        await post.until_tried(1, 2, 3)
        assert window.unacknowledged() == [1, 3]


async def test_what_is_refused_is_tried_again_and_at_once_when_it_opens_anew():
    post, window = Post(), Window()
    async with crew() as working:
        window.begin(working, post.send)
        window.open()
        window.put(1)
        await post.until_tried(1)
        window.close()
        post.answer(1, False)
        window.put(2)
        assert (post.tries, window.unacknowledged()) == ([1], [1, 2])
        window.open()
        await post.until_tried(1, 1, 2)


async def test_no_more_than_a_windowful_is_in_flight():
    post, window = Post(), Window()
    items = list(range(IN_FLIGHT + 2))
    async with crew() as working:
        window.begin(working, post.send)
        window.open()
        for item in items:
            window.put(item)
        await post.until_tried(*items[:-2])
        assert post.tries == items[:-2]
        post.answer(0, True)
        await post.until_tried(*items[:-1])
        assert window.unacknowledged() == items[1:]


async def test_what_is_cleared_is_not_tried_again():
    post, window = Post(), Window()
    async with crew() as working:
        window.begin(working, post.send)
        window.open()
        window.put(1)
        await post.until_tried(1)
        window.clear()
        post.answer(1, False)
        window.put(2)
        await post.until_tried(1, 2)
        assert window.unacknowledged() == [2]
