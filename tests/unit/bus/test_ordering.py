"""Order within a key, none between keys, and a bound for each node."""

import asyncio

from bacalhau.bus.ordering import IN_FLIGHT, WAITING, NodeQueues
from bacalhau.lib.aio import crew


class Gate:
    """Work that stays under way until it is opened."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.opened: dict[str, asyncio.Event] = {}

    async def work(self, item: str) -> None:
        self.started.append(item)
        await self.opened.setdefault(item, asyncio.Event()).wait()

    def open(self, item: str) -> None:
        self.opened.setdefault(item, asyncio.Event()).set()


async def turns(count: int = 20) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


async def test_one_key_keeps_its_order_and_others_pass():
    gate = Gate()
    async with crew() as working:
        queues = NodeQueues(working, gate.work)
        for key, item in (("a", "a1"), ("a", "a2"), ("b", "b1")):
            assert queues.put("n", key, item)
        await turns()
        assert gate.started == ["a1", "b1"]
        gate.open("a1")
        await turns()
        assert gate.started == ["a1", "b1", "a2"]


async def test_a_key_can_be_used_again():
    gate = Gate()
    async with crew() as working:
        queues = NodeQueues(working, gate.work)
        for item in ("a1", "a2"):
            queues.put("n", "a", item)
            gate.open(item)
            await turns()
        assert gate.started == ["a1", "a2"]


async def test_a_full_node_does_not_hold_up_another():
    gate = Gate()
    async with crew() as working:
        queues = NodeQueues(working, gate.work)
        for number in range(IN_FLIGHT + 5):
            queues.put("n", str(number), f"n{number}")
        queues.put("m", "0", "m0")
        await turns()
        assert len(gate.started) == IN_FLIGHT + 1
        gate.open("n0")
        await turns()
        assert gate.started[-1] == f"n{IN_FLIGHT}"


async def test_a_flood_is_refused():
    gate = Gate()
    async with crew() as working:
        queues = NodeQueues(working, gate.work)
        taken = sum(queues.put("n", "", "x") for _ in range(WAITING + IN_FLIGHT + 10))
        assert taken == WAITING + IN_FLIGHT


async def test_a_node_that_sends_nothing_costs_nothing():
    gate = Gate()
    async with crew() as working:
        queues = NodeQueues(working, gate.work)
        for node in ("n-1", "n-2"):
            queues.put(node, "a", node)
        await turns()
        gate.open("n-1")
        await turns()
        assert list(queues._queues) == ["n-2"]
