"""A node that sends whatever it likes: its orchestrator answers each message, and goes on."""

import asyncio
import threading
import zlib
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.bus.subject import from_node, messages_to
from bacalhau.lib.ids import new_node_id
from bacalhau.lib.wire import encode
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.wire.messages import MESSAGE_TYPES, AskForBid, HandshakeRequest, HandshakeResponse
from tests.fuzz.search import Search
from tests.fuzz.target import Target
from tests.fuzz.values import bodies, of_type, rendered, texts

ANSWER_SECONDS = 15.0
T = TypeVar("T")
LANES = ["msgs", "ctrl", "requests", "progress"]
ROOM = Resources(cpu=100, memory=10**12, disk=10**12, gpu=0)


@dataclass(frozen=True)
class Told:
    """A message; `is_asked` where an answer is wanted."""

    lane: str
    data: bytes
    is_asked: bool


@dataclass
class Rogue:
    """A member of the network, with work in hand."""

    url: str
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    id: str = field(default_factory=new_node_id)
    executions: list[tuple[str, str]] = field(default_factory=list)
    client: Client = field(default_factory=Client)
    given: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the node's own loop, which goes on between two messages: the server asks for signs of life."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def join(self) -> None:
        await self.client.connect(
            self.url,
            name=self.id,
            user=self.id,
            password="secret~life.",
            inbox_prefix=f"_NODE.{self.id}".encode(),
            allow_reconnect=False,
        )
        await self.client.subscribe(messages_to(self.id), cb=self._take)
        await self.greet()

    async def greet(self) -> None:
        """Join in earnest: what was sent before may have described nobody."""
        compute = ComputeNodeInfo(
            execution_engines=("noop",), max_capacity=ROOM, available_capacity=ROOM, max_job_requirements=ROOM
        )
        info = NodeInfo(node_id=self.id, node_type="Compute", labels={"rogue": "yes"}, compute_node_info=compute)
        held = tuple(execution_id for execution_id, _ in self.executions)
        body = encode(HandshakeRequest(node_info=info, running=held))
        answer = await self.client.request(
            from_node(self.id, "ctrl"), pack(body, stamp("transport.HandshakeRequest", self.id, 1)), timeout=20
        )
        joined = unpack(answer.data).message()
        assert isinstance(joined, HandshakeResponse) and joined.accepted, answer.data

    async def _take(self, msg: Msg) -> None:
        message = unpack(msg.data).message()
        if isinstance(message, AskForBid):
            self.executions.append((message.execution.id, message.execution.job_id))
            self.given.set()
        await msg.respond(b"{}")

    async def tell(self, told: Told) -> None:
        subject = from_node(self.id, told.lane)
        if not told.is_asked:
            await self.client.publish(subject, told.data)
            return
        try:
            await self.client.request(subject, told.data, timeout=ANSWER_SECONDS)
        except TimeoutError:
            raise AssertionError(
                f"no answer within {ANSWER_SECONDS:g} s on {told.lane} to {told.data[:3000]!r}"
            ) from None
        except NoRespondersError:
            raise AssertionError(f"nobody listens after {told.data[:3000]!r}") from None


@contextmanager
def rogue(target: Target) -> Iterator[Rogue]:
    """A node among the others that was given an execution of a job that only it can run."""
    made = Rogue(f"nats://127.0.0.1:{target.nats_port}")
    thread = threading.Thread(target=made.loop.run_forever)
    thread.start()
    try:
        made.run(made.join())
        needs = [{"Key": "rogue", "Operator": "=", "Values": ["yes"]}]
        target.submit(Name=f"rogues-{new_node_id()}", Type="service", Count=3, Constraints=needs)
        made.run(asyncio.wait_for(made.given.wait(), 20))
        yield made
        made.run(made.client.close())
    finally:
        made.loop.call_soon_threadsafe(made.loop.stop)
        thread.join()
        made.loop.close()


def _metadata(type_name: str) -> st.SearchStrategy[dict[str, str]]:
    numbers = st.sampled_from(["", "0", "1", "7", "-1", "x", "9" * 19, "9" * 5000, "٧"])
    names = st.just("json") | texts
    ids = st.sampled_from(["seq-1", "", "a\r\nb: c", "é", "\x00", "i" * 600_000]) | texts
    one = st.tuples(
        numbers.map(lambda n: ("Bacalhau-SeqNum", n))
        | names.map(lambda n: ("Bacalhau-PayloadEncoding", n))
        | ids.map(lambda n: ("Bacalhau-MessageID", n))
        | texts.map(lambda n: ("Bacalhau-Source", n))
        | texts.map(lambda n: ("Bacalhau-Type", n))
    )
    return st.lists(one, max_size=2).map(lambda pairs: stamp(type_name, "n", 1) | dict(p[0] for p in pairs))


def _named(body: Any, known: tuple[str, str]) -> bytes:
    """A body about an execution that the node has."""
    return rendered(body | {"ExecutionID": known[0], "JobID": known[1]} if isinstance(body, dict) else body)


def _payloads(made: Rogue, kind: Any) -> st.SearchStrategy[bytes]:
    known = st.sampled_from(made.executions)
    return bodies(kind) | st.builds(_named, of_type(kind), known)


def _framed(body: bytes, metadata: dict[str, str], harm: int) -> bytes:
    if harm == 0:
        return body
    whole = b'{"metadata":' + msgspec.json.encode(metadata) + b',"payload":' + body + b"}"
    checked = bytes((1,)) + zlib.crc32(whole).to_bytes(4, "big") + whole
    return {1: checked[:-3], 2: b"\x02" + checked[1:], 3: checked[:4]}.get(harm, checked)


def messages(made: Rogue) -> st.SearchStrategy[Told]:
    """Messages of every type, on every lane."""

    def of_kind(item: tuple[str, Any]) -> st.SearchStrategy[bytes]:
        harms = st.sampled_from([0, 1, 2, 3] + [9] * 16)
        return st.builds(_framed, _payloads(made, item[1]), _metadata(item[0]), harms)

    datas = st.one_of(*map(of_kind, MESSAGE_TYPES.items()), st.binary(max_size=20)).filter(lambda d: len(d) < 10**6)
    return st.builds(Told, st.sampled_from(LANES), datas, st.integers(0, 9).map(bool)).map(_askable)


def _askable(told: Told) -> Told:
    return Told(told.lane, told.data, told.is_asked and told.lane != "progress")


def knock(target: Target, search: Search) -> None:
    """Send messages as a node: each is answered, no connection of others is lost, and nodes may still join."""
    mark = len(target.process.lines)
    with rogue(target) as made:
        search.run(lambda told: made.run(made.tell(told)), messages(made))
        made.run(made.greet())
    target.check()
    lost = [line for line in target.process.lines[mark:] if "lost the connection" in line]
    assert not lost, lost
