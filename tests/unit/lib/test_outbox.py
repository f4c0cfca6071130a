"""A lane sends what it was given: in order per key, side by side otherwise, until each message is taken, withdrawn or
given up.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bacalhau.lib import outbox
from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.outbox import AT_ONCE, Lane, Letter, Role, Settled, Verdict
from tests.support.clock import LeapingLoop

TAKEN, LATER, NEVER = Verdict


class Post:
    """Answers as it is told to; `tries` is what it was given, in order."""

    def __init__(self):
        self.tries, self.answers, self.news = [], {}, Signal()

    async def send(self, item):
        self.tries.append(item)
        self.news.fire()
        self.answers[item] = asyncio.get_running_loop().create_future()
        return await self.answers[item]

    async def until_tried(self, *items):
        """The same items, in whatever order they were started."""
        while sorted(self.tries) != sorted(items):
            assert await self.news.wait(10), self.tries

    def answer(self, item, verdict=TAKEN):
        self.answers[item].set_result(verdict)


def letter(seq, key=None, role=Role.CONTINUES):
    return Letter(seq, key or f"k-{seq}", seq, role)


async def test_nothing_is_sent_before_it_begins_and_is_open():
    post, lane = Post(), Lane()
    lane.put(letter(1))
    async with crew() as working:
        lane.begin(working, post.send)
        assert (post.tries, lane.unsettled()) == ([], [1])
        lane.open()
        await post.until_tried(1)


async def test_a_message_waits_for_the_one_before_of_its_key_and_for_no_other():
    post, lane = Post(), Lane()
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        lane.put(letter(1, "a"))
        lane.put(letter(2, "a"))
        lane.put(letter(3, "b"))
        await post.until_tried(1, 3)
        post.answer(3)
        post.answer(1)
        await post.until_tried(1, 2, 3)
        assert lane.unsettled() == [2]


async def test_what_is_refused_is_tried_again_and_at_once_when_the_lane_opens_anew():
    post, lane = Post(), Lane()
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        lane.put(letter(1))
        await post.until_tried(1)
        lane.close()
        post.answer(1, LATER)
        lane.put(letter(2))
        assert (post.tries, lane.unsettled()) == ([1], [1, 2])
        lane.open()
        await post.until_tried(1, 1, 2)


async def test_what_is_refused_for_ever_holds_up_nobody_else(monkeypatch):
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 3600.0)
    post, lane = Post(), Lane()
    stuck = range(AT_ONCE)
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        for seq in (*stuck, 100, 101):
            lane.put(letter(seq))
        await post.until_tried(*stuck)
        for seq in stuck:
            post.answer(seq, LATER)
        await post.until_tried(*stuck, 100, 101)


async def test_an_end_does_not_queue_behind_messages_that_nobody_acknowledges():
    post, lane = Post(), Lane()
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        for seq in range(2 * AT_ONCE):
            lane.put(letter(seq, role=Role.BEGINS))
        await post.until_tried(*range(AT_ONCE))
        lane.put(letter(500, "k-0", Role.ENDS))
        lane.put(letter(501, "another", Role.ENDS))
        await post.until_tried(*range(AT_ONCE), 500, 501)


async def test_what_can_never_be_delivered_leaves_and_the_next_of_its_key_follows():
    post, lane = Post(), Lane()
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        lane.put(letter(1, "a"))
        lane.put(letter(2, "a"))
        await post.until_tried(1)
        post.answer(1, NEVER)
        await post.until_tried(1, 2)
        assert (lane.unsettled(), lane.settled.items) == ([2], [1])


async def test_an_end_withdraws_what_was_not_sent_yet_and_itself_with_it():
    post, lane = Post(), Lane()
    lane.put(letter(1, "a", Role.BEGINS))
    lane.put(letter(2, "a"))
    lane.put(letter(3, "a", Role.ENDS))
    assert (lane.unsettled(), lane.settled.items) == ([], [1, 2, 3])
    lane.put(letter(4, "b", Role.BEGINS), was_tried=True)  # an earlier process may have sent it
    lane.put(letter(5, "b", Role.ENDS))
    assert lane.unsettled() == [5]
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        await post.until_tried(5)


async def test_what_is_cleared_is_not_tried_again_and_what_is_abandoned_is_forgotten_too():
    post, lane = Post(), Lane()
    async with crew() as working:
        lane.begin(working, post.send)
        lane.open()
        lane.put(letter(1))
        await post.until_tried(1)
        lane.clear()
        post.answer(1, LATER)
        lane.put(letter(2))
        await post.until_tried(1, 2)
        assert (lane.unsettled(), lane.settled.items) == ([2], [])
        assert (lane.abandon(), lane.abandon(), lane.settled.items) == (1, 0, [2])


async def test_what_could_not_be_forgotten_is_forgotten_later():
    settled, dropped = Settled(), []

    async def refuse(items):
        raise Unavailable("the disk is full")

    async def drop(items):
        dropped.extend(items)

    settled.items = [1, 2]
    assert not await settled.forget(refuse)
    settled.items.append(3)
    assert await settled.forget(drop) and await settled.forget(refuse)
    assert (dropped, settled.items) == ([1, 2, 3], [])


KEYS = st.sampled_from("abcdef")


class Receiver:
    """Takes each message once, whatever the sender hears of it."""

    def __init__(self):
        self.open = {}
        self.taken = []
        self.answers = Counter()

    async def send(self, item):
        assert item not in self.open
        future = self.open[item] = asyncio.get_running_loop().create_future()
        try:
            return await future
        finally:
            del self.open[item]

    def answer(self, item, fate):
        if fate in ("taken", "unheard") and item not in self.taken:
            self.taken.append(item)
        verdict = {"taken": TAKEN, "never": NEVER}.get(fate, LATER)
        self.answers[item] += verdict is not LATER
        self.open[item].set_result(verdict)


class LaneMachine(RuleBasedStateMachine):
    """A sender with a durable outbox, which dies and comes back; a receiver that comes, goes, lies and is silent."""

    places = 2

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(outbox, "AT_ONCE", self.places)
        self.patch.setattr(outbox, "REFUSED", 4)
        self.runner = asyncio.Runner(loop_factory=LeapingLoop)
        self.receiver = Receiver()
        self.letters, self.durable, self.began, self.ended = {}, {}, set(), set()
        self.heard = set()
        self.start()

    def start(self):
        self.stack = AsyncExitStack()
        self.lane = Lane()
        self.run(self.begin())

    async def begin(self):
        for each in self.durable.values():
            self.lane.put(each, was_tried=True)
        self.lane.begin(await self.stack.enter_async_context(crew()), self.send)

    async def send(self, seq):
        assert self.lane.is_open
        self.heard.add(seq)
        return await self.receiver.send(seq)

    def run(self, work):
        async def and_settle():
            await work
            await Signal().wait(0.001)

        self.runner.run(and_settle())

    def teardown(self):
        self.finish()
        self.run(self.stack.aclose())
        self.runner.close()
        self.patch.undo()

    def put(self, key, role):
        seq = len(self.letters) + 1
        self.letters[seq] = self.durable[seq] = Letter(seq, key, seq, role)
        self.run(self.put_in(self.letters[seq]))

    async def put_in(self, each):
        self.lane.put(each)

    @rule(key=KEYS, number=st.integers(0, 3))
    def begin_key(self, key, number):
        key += str(number)
        if key not in self.began:
            self.began.add(key)
            self.put(key, Role.BEGINS)

    @precondition(lambda self: self.began - self.ended)
    @rule(data=st.data())
    def continue_key(self, data):
        self.put(data.draw(st.sampled_from(sorted(self.began - self.ended))), Role.CONTINUES)

    @precondition(lambda self: self.began)
    @rule(data=st.data())
    def end_key(self, data):
        """Also once more, as a look at the job that is repeated does."""
        key = data.draw(st.sampled_from(sorted(self.began)))
        self.ended.add(key)
        self.put(key, Role.ENDS)

    @precondition(lambda self: self.receiver.open)
    @rule(data=st.data(), fate=st.sampled_from(("taken", "taken", "later", "unheard", "never")))
    def answer(self, data, fate):
        seq = data.draw(st.sampled_from(sorted(self.receiver.open)))
        self.run(self.give(seq, fate))

    async def give(self, seq, fate):
        self.receiver.answer(seq, fate)

    @rule()
    def time_passes(self):
        self.run(Signal().wait(3))

    @rule(is_open=st.booleans())
    def receiver_comes_or_goes(self, is_open):
        self.run(self.turn(is_open))

    async def turn(self, is_open):
        if is_open:
            self.lane.open()
        else:
            self.lane.close()

    @rule(forgotten_first=st.booleans())
    def sender_dies(self, forgotten_first):
        if forgotten_first:
            self.forget()
        self.run(self.stack.aclose())
        self.start()

    @rule()
    def forget(self):
        self.run(self.lane.settled.forget(self.drop))

    async def drop(self, seqs):
        for seq in seqs:
            del self.durable[seq]

    @invariant()
    def ends_never_queue_behind_others(self):
        under_way = [seq for seq in self.receiver.open if self.letters[seq].role is Role.ENDS]
        road = self.lane._roads[True]
        waiting = [entry for entry in (*road.fresh, *road.again) if not entry.is_gone]
        assert not self.lane.is_open or not waiting or len(under_way) >= self.places // 2

    def finish(self):
        """Everybody is well from now on: whatever waits is taken, and nothing blocks."""
        self.run(self.turn(is_open=True))
        for _ in range(10 * len(self.letters) + 10):
            for seq in list(self.receiver.open):
                self.run(self.give(seq, "taken"))
            self.run(Signal().wait(6))
        assert self.lane.unsettled() == [] and not self.receiver.open
        self.forget()
        assert self.durable == {}
        for key in self.began:
            self.check(key)

    def check(self, key):
        """In order; and who heard of a key that was ended hears of its end, nobody else does."""
        mine = [seq for seq, each in self.letters.items() if each.key == key]
        ends = [seq for seq in mine if self.letters[seq].role is Role.ENDS]
        others = [seq for seq in self.receiver.taken if seq in mine and seq not in ends]
        assert others == sorted(others)
        if not ends:
            assert all(self.receiver.answers[seq] for seq in mine)
        elif self.heard.intersection(mine):
            assert any(self.receiver.answers[seq] for seq in ends)


LaneMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLane = LaneMachine.TestCase
