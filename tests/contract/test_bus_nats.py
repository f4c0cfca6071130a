"""The bus on a real nats-server: who may do what, what survives which death, and what is set aside."""

import asyncio
import itertools
import json

import pytest

from bacalhau.bus.acked import CRASHES
from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.bus.node import node_bus
from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.ordering import IN_FLIGHT
from bacalhau.bus.shortcut import Shortcut
from bacalhau.bus.subject import LOGS, from_node, messages_to, to_node
from bacalhau.lib.aio import together
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, NotFound, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import BidAccepted, BidResult, HeartbeatRequest, HeartbeatResponse, Progress
from tests.support.nats import cluster, kill_server, settle


def bid_result(execution_id: str = "e", seq: int = 1, source: str = "n") -> bytes:
    return pack(encode(BidResult(execution_id=execution_id)), stamp("BidResult", source, 1, seq=seq))


@pytest.fixture(params=[False, True], ids=["server", "shortcut"])
def shortcut(request):
    """A shortcut for the second run of tests that hold with and without it."""
    return Shortcut() if request.param else None


async def test_a_node_cannot_speak_as_another_nor_hear_it(tmp_path):
    async with cluster(tmp_path) as made:
        await made.node("a")
        intruder = await made.stranger(name="b", user="b", password="secret.")
        heard = []

        async def hear(msg) -> None:
            heard.append(msg.subject)

        for subject in (
            messages_to("a"),
            to_node("a", ">"),
            messages_to("*"),
            ">",
            "_NODE.a.>",
            "_ACK.>",
            "_INBOX.>",
            "_SINBOX.>",
            "$SYS.>",
        ):
            await intruder.subscribe(subject, cb=hear)
        for subject in (
            from_node("a", "msgs"),
            from_node("a", "ctrl"),
            messages_to("a"),
            messages_to("b"),
            "_ACK.a.x.0",
            "_NODE.a.x.0",
            "$SYS.REQ.USER.AUTH",
        ):
            await intruder.publish(subject, bid_result(source="a"))
        await settle(intruder)
        await made.orchestrator.send("a", "BidAccepted", encode(BidAccepted(execution_id="e")), 1)
        await intruder.publish(
            from_node("b", "progress"), pack(encode(Progress(execution_id="own")), stamp("transport.Progress", "a", 1))
        )
        await made.up.until(lambda: made.up.progress)
        assert made.up.progress[0].node_id == "b"
        assert made.up.got == [] and heard == []
        assert sum("permissions violation for publish" in error for error in intruder.errors) == 7
        assert sum("permissions violation for subscription" in error for error in intruder.errors) == 9


@pytest.mark.parametrize(
    "shown",
    [
        {"name": "a", "user": "a", "password": "wrong."},
        {"name": "a"},
        {"name": "a", "token": "secret"},
        {"name": "b", "user": "a", "password": "secret."},
        {"name": "a", "user": "b", "password": "secret."},
        {"name": "a.b", "user": "a.b", "password": "secret."},
        {"name": "*"},
        {},
        {"name": "x", "user": "bacalhau-orchestrator", "password": "secret."},
        {"name": "x", "user": "bacalhau-system", "password": "secret."},
    ],
    ids=str,
)
async def test_who_may_not_connect(tmp_path, shown):
    async with cluster(tmp_path, a="secret") as made:
        with pytest.raises(Exception, match=r"Authorization Violation"):
            await made.stranger(**shown)


async def test_the_refused_node_is_told_once_and_comes_in_later(tmp_path, caplog):
    caplog.set_level("INFO")
    async with cluster(tmp_path, a="right") as made:
        async with node_bus(made.server.url, "a", "wrong", "token") as node:
            with pytest.raises(Unavailable, match=r"refuses node a: its token is wrong \("):
                await node.connected(1.5)
        assert [(r.levelname, r.name) for r in caplog.records if "refuses" in r.message or "uthori" in r.message] == [
            ("WARNING", "bacalhau.bus.link")
        ]
        async with node_bus(made.server.url, "a", "wrong") as node:
            with pytest.raises(
                Unavailable, match=r"refuses node a: its token is missing \(set Compute.Auth.Token .* log says which"
            ):
                await node.connected(1)
        bus, _ = await made.node("a", "right")
        await bus.send("BidResult", BidResult(execution_id="e"), 1)


async def test_a_node_that_was_let_in_before_is_told_so(tmp_path):
    async with cluster(tmp_path) as made, node_bus(made.server.url, "a", "right") as node:
        await node.connected(5)
        made.secrets["a"] = "another"
        await made.orchestrator.disconnect("a")
        while node._link.is_up:
            assert await node._link.changed.wait(5)
        with pytest.raises(Unavailable, match="refuses node a, which it had let in before: its token is missing"):
            await node.connected(1)


async def test_every_message_arrives_though_the_server_is_killed(tmp_path, shortcut):
    async with cluster(tmp_path, shortcut=shortcut) as made:
        node, down = await made.node("n")
        total = 3000
        numbers = itertools.count(1)
        midway = asyncio.Event()

        async def send_all() -> None:
            while (number := next(numbers)) <= total:
                if number == total // 3:
                    midway.set()
                await until_sent(
                    lambda number=number: node.send("BidResult", BidResult(execution_id=f"e{number % 50}"), number)
                )
                await until_sent(
                    lambda number=number: made.orchestrator.send(
                        "n", "BidAccepted", encode(BidAccepted(execution_id=f"e{number}")), number
                    )
                )

        async def until_sent(send) -> None:
            """As an outbox does."""
            while True:
                try:
                    return await send()
                except Unavailable:
                    await node.connected(40)
                    await made.up.changed.wait(0.05)

        async def kill() -> None:
            await midway.wait()
            await kill_server(tmp_path)

        async with asyncio.timeout(60):
            await together(kill(), *(send_all() for _ in range(50)))
        assert {delivery.seq for delivery in made.up.got} == set(range(1, total + 1))
        assert {delivery.seq for delivery in down.got} == set(range(1, total + 1))
        assert down.greeted == 2


async def test_nobody_listens_is_known_at_once(tmp_path):
    async with cluster(tmp_path) as made:
        async with asyncio.timeout(2):
            with pytest.raises(Unavailable, match="nobody listens"):
                await made.orchestrator.send("elsewhere", "BidAccepted", b"{}", 1)


async def test_a_server_that_is_not_there(tmp_path):
    async with cluster(tmp_path) as made:
        url, access = made.server.url, made.server.access
    async with node_bus(url, "n", "secret") as node:
        with pytest.raises(Unavailable, match=f"cannot connect to {url}"):
            await node.connected(0.5)
        with pytest.raises(Unavailable):
            await node.request(HeartbeatRequest())
        await node.tell(Progress())
    assert access.user


async def test_a_wrong_password_of_the_orchestrator(tmp_path, monkeypatch):
    monkeypatch.setattr("bacalhau.bus.orchestrator.CONNECT_WAIT", 0.3)
    async with cluster(tmp_path) as made:
        with pytest.raises(Unavailable, match="Authorization Violation"):
            async with orchestrator_bus(made.server.url, made.server.access._replace(password="guess")):
                pass


async def test_what_cannot_be_read_is_set_aside_and_the_next_gets_through(tmp_path):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name="n")
        unknown = pack(b"{}", stamp("Riddle", "n", 1, seq=1))
        for data in (b"noise", unknown, bid_result()[:-1], pack(b'{"Accepted":7}', stamp("BidResult", "n", 1))):
            answer = json.loads((await client.request(from_node("n", "msgs"), data, timeout=5)).data)
            assert answer["rejected"] and not answer.get("error")  # for programs of other makes: acknowledged
        assert (await client.request(from_node("n", "msgs"), bid_result(), timeout=5)).data == b"{}"
        assert [(source, data) for source, _, data in made.up.aside][:2] == [("n", b"noise"), ("n", unknown)]
        assert "Riddle" in made.up.aside[1][1] and len(made.up.aside) == 4
        assert len(made.up.got) == 1


async def test_a_handler_that_keeps_breaking_is_spared(tmp_path):
    async with cluster(tmp_path) as made:
        node, _ = await made.node("n")
        tries = []

        def crash(delivery) -> None:
            tries.append(delivery.seq)
            raise ZeroDivisionError("oops")

        made.up.failing = crash
        with pytest.raises(BadRequest, match="cannot be delivered: ZeroDivisionError: oops"):
            await node.send("BidResult", BidResult(execution_id="e"), 5)
        assert tries == [5] * CRASHES
        assert [(source, reason) for source, reason, _ in made.up.aside] == [("n", "ZeroDivisionError: oops")]
        assert unpack(made.up.aside[0][2]).seq == 5


async def test_what_is_refused_comes_again_until_it_is_taken(tmp_path, shortcut):
    async with cluster(tmp_path, shortcut=shortcut) as made:
        node, _ = await made.node("n")
        left = [3]

        def refuse(delivery) -> None:
            left[0] -= 1
            if left[0] >= 0:
                raise Conflict("not now")

        made.up.failing = refuse
        await node.send("BidResult", BidResult(execution_id="e"), 1)
        assert [delivery.seq for delivery in made.up.got] == [1] and made.up.aside == []


async def test_a_node_has_no_answer_sent_to_another(tmp_path):
    """An answer of the orchestrator is believed wherever it arrives, an acknowledgement above all."""
    async with cluster(tmp_path, b="secret") as made:
        _, heard = await made.node("a")
        intruder = await made.stranger(name="b", user="b", password="secret.")
        await made.orchestrator.send("a", "BidAccepted", encode(BidAccepted(execution_id="e")), 1)
        for reply in (
            messages_to("a"),
            "_NODE.a.x.0",
            "_ACK.a.x.0",
            "_NODE.bb.x.0",
            "bacalhau.global.compute.a.out.msgs",
        ):
            await intruder.publish(from_node("b", "msgs"), bid_result("forged", source="b"), reply=reply)
            await intruder.publish(from_node("b", "ctrl"), b"noise", reply=reply)
            await intruder.publish("node.management.b.RegisterNode/v1", b"{}", reply=reply)
            await intruder.publish("_HEARTBEAT._SINBOX.b.x", b"{}", reply=reply)
        subscription = await intruder.subscribe("_NODE.b.>")
        await intruder.publish(from_node("b", "msgs"), bid_result("true", source="b"), reply="_NODE.b.x.1")
        answer = await subscription.next_msg(5)
        assert (answer.subject, answer.data) == ("_NODE.b.x.1", b"{}")
        assert [(d.node_id, d.message.execution_id) for d in made.up.got] == [("b", "true")]
        assert [d.seq for d in heard.got] == [1] and heard.aside == []


async def test_many_are_handled_at_once_but_one_execution_in_order(tmp_path, shortcut):
    async with cluster(tmp_path, shortcut=shortcut) as made:
        node, _ = await made.node("n")
        up = made.up
        up.release.clear()

        async def watch() -> None:
            # Both of the same execution hold a place, but only one of them is being handled.
            await up.until(lambda: len(up.entered) == IN_FLIGHT - 1)
            await node.request(HeartbeatRequest(node_id="n"))
            assert len(up.entered) == IN_FLIGHT - 1
            up.release.set()

        same = [node.send("BidResult", BidResult(execution_id="same"), number) for number in (1, 2)]
        others = [
            node.send("BidResult", BidResult(execution_id=f"e{number}"), number) for number in range(3, IN_FLIGHT + 20)
        ]
        await together(watch(), *same, *others)
        assert [delivery.seq for delivery in up.entered if delivery.message.execution_id == "same"] == [1, 2]


async def test_a_closed_connection_is_seen_at_once(tmp_path):
    async with cluster(tmp_path, n="secret") as made:
        first = await made.stranger(name="n", user="n", password="secret.")
        second = await made.stranger(name="n", user="n", password="secret.")
        with pytest.raises(Exception, match="Authorization Violation"):
            await made.stranger(name="n", user="n", password="wrong.")
        await first.close()
        await made.node("m")
        assert made.up.gone == []
        await second.close()
        async with asyncio.timeout(2):
            await made.up.until(lambda: made.up.gone == ["n"])


async def test_progress(tmp_path, shortcut):
    async with cluster(tmp_path, shortcut=shortcut) as made:
        node, _ = await made.node("n")
        await node.tell(Progress(execution_id="e", stage="pulling", done=1, total=2))
        await made.up.until(lambda: made.up.progress)
        assert made.up.progress == [
            ("n", "transport.Progress", Progress(execution_id="e", stage="pulling", done=1, total=2), 0)
        ]
        assert made.up.got == []


async def test_requests_errors_and_too_large_messages(tmp_path, shortcut):
    class HandshakeRequired(BacalhauError):
        code = "HandshakeRequired"
        status = 428

    async with cluster(tmp_path, shortcut=shortcut) as made:
        node, _ = await made.node("n")

        def fail(delivery) -> None:
            raise errors.pop(0)

        errors = [HandshakeRequired("who are you", retryable=True), ZeroDivisionError("oops")]
        made.up.failing = fail
        with pytest.raises(BacalhauError, match="who are you") as caught:
            await node.request(HeartbeatRequest(node_id="n"))
        assert (caught.value.code, caught.value.status, caught.value.retryable) == ("HandshakeRequired", 428, True)
        with pytest.raises(BacalhauError, match="ZeroDivisionError"):
            await node.request(HeartbeatRequest(node_id="n"), control=False)
        with pytest.raises(BadRequest, match="too large"):
            await node.send("BidResult", BidResult(execution_id="x" * (1 << 20)), 1)
        made.up.failing = lambda delivery: None
        assert isinstance(await node.request(HeartbeatRequest(node_id="n")), HeartbeatResponse)


async def test_requests_of_unknown_type_are_answered(tmp_path):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name="n")
        data = pack(b"{}", stamp("someday.UnknownRequest", "n", 1) | {"Bacalhau-MessageID": "seq-9"})
        reply = await client.request(from_node("n", "requests"), data, timeout=5)
        envelope = unpack(reply.data)
        assert envelope.type == "BacError" and envelope.metadata == reply.headers
        assert envelope.metadata["Bacalhau-MessageID"] == "seq-9"
        assert (
            envelope.metadata["Bacalhau-StatusCode"] == "400"
            and envelope.metadata["Bacalhau-ErrorCode"] == "BadRequest"
        )
        assert unpack((await client.request(from_node("n", "ctrl"), b"noise", timeout=5)).data).type == "BacError"


async def test_leaving_serve_stops_listening(tmp_path, shortcut):
    async with (
        cluster(tmp_path, shortcut=shortcut) as made,
        node_bus(made.server.url, "n", "secret", shortcut=shortcut) as node,
    ):
        await node.connected(5)
        async with node.serve(made.up.on_message, made.up.logs, made.up.on_connected):
            await made.orchestrator.send("n", "BidAccepted", b"{}", 1)
        with pytest.raises(Unavailable, match="nobody listens"):
            await made.orchestrator.send("n", "BidAccepted", b"{}", 2)
        with pytest.raises(Unavailable, match="not connected"):
            await anext(made.orchestrator.stream_logs("n", "e", tail=False, follow=False))


async def test_greeting_is_repeated_until_it_succeeds(tmp_path):
    async with cluster(tmp_path) as made:
        tries = []

        async def greet() -> None:
            tries.append(1)
            made.up.changed.fire()
            if len(tries) < 3:
                raise NotFound("not yet")

        async with (
            node_bus(made.server.url, "n", "secret") as node,
            node.serve(made.up.on_message, made.up.logs, greet),
        ):
            await made.up.until(lambda: len(tries) == 3)


async def test_a_token_is_enough_for_a_node_without_secret(tmp_path):
    async with cluster(tmp_path) as made:
        node, down = await made.node("n", "")
        await node.send("BidResult", BidResult(execution_id="e"), 1)
        await made.orchestrator.send("n", "BidAccepted", b"{}", 1)
        assert len(down.got) == len(made.up.got) == 1
        with pytest.raises(BadRequest, match="dot"):
            async with node_bus(made.server.url, "m", "a.b"):
                pass


async def test_logs_wait_for_a_slow_reader_and_end_with_it(tmp_path, shortcut):
    async with cluster(tmp_path, shortcut=shortcut) as made:
        _, down = await made.node("n")
        sent, closed = [], []

        async def endless(execution_id: str, tail: bool, follow: bool):
            try:
                while True:
                    sent.append(1)
                    down.changed.fire()
                    yield 1, "x" * 1000
            finally:
                closed.append(execution_id)
                down.changed.fire()

        async with (
            node_bus(made.server.url, "m", "secret") as node,
            node.serve(down.on_message, endless, down.on_connected),
        ):
            await node.connected(5)
            stream = made.orchestrator.stream_logs("m", "e", tail=False, follow=True)
            assert await anext(stream) == (1, "x" * 1000)
            await down.until(lambda: len(sent) >= 17)
            await made.orchestrator.send("m", "BidAccepted", b"{}", 1)
            assert len(sent) == 17
            for _ in range(20):
                await anext(stream)
            await stream.aclose()
            await down.until(lambda: closed == ["e"])


async def test_logs_end_when_the_node_does(tmp_path):
    async with cluster(tmp_path) as made:
        _, down = await made.node("m")

        async def silent(execution_id: str, tail: bool, follow: bool):
            yield 1, "first"
            await asyncio.get_running_loop().create_future()

        async with (
            node_bus(made.server.url, "n", "secret") as node,
            node.serve(down.on_message, silent, down.on_connected),
        ):
            await node.connected(5)
            stream = made.orchestrator.stream_logs("n", "e", tail=False, follow=True)
            assert await anext(stream) == (1, "first")
        with pytest.raises(Unavailable, match="node n disconnected"):
            await anext(stream)


async def test_logs_nobody_reads_are_found_by_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr("bacalhau.bus.log_producer.HEARTBEAT_SECONDS", 0.1)
    async with cluster(tmp_path) as made:
        closed = []
        down = made.up

        async def silent(execution_id: str, tail: bool, follow: bool):
            try:
                yield 1, "first"
                await asyncio.get_running_loop().create_future()
            finally:
                closed.append(execution_id)
                down.changed.fire()

        async with (
            node_bus(made.server.url, "n", "secret") as node,
            node.serve(down.on_message, silent, down.on_connected),
        ):
            await node.connected(5)
            kept = made.orchestrator.stream_logs("n", "kept", tail=False, follow=True)
            assert await anext(kept) == (1, "first")
            names = b'{"consumerId":"gone.","streamId":"dead","heartBeatRequestSub":"_HEARTBEAT._SINBOX.n.gone"'
            request = names + b',"body":"eyJFeGVjdXRpb25JRCI6ImUifQ=="}'
            await made.orchestrator._link.publish(to_node("n", LOGS), request, "_SINBOX.n.gone.dead")
            await down.until(lambda: closed == ["e"])
            await kept.aclose()
            await down.until(lambda: closed == ["e", "kept"])


async def test_logs_on_a_broken_request(tmp_path):
    async with cluster(tmp_path) as made:
        _, down = await made.node("n")
        down.log_error = ZeroDivisionError("oops")
        with pytest.raises(Unavailable, match="ZeroDivisionError"):
            _ = [found async for found in made.orchestrator.stream_logs("n", "e", tail=False, follow=True)]
