"""The other side of another make, played from recordings: its frames are understood, ours are as it expects them."""

import asyncio
import json
from pathlib import Path

import pytest

from bacalhau.bus.envelope import MESSAGE_ID, SOURCE, TYPE, pack, stamp, unpack
from bacalhau.bus.subject import LOGS, from_node, messages_to, to_node
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import HandshakeResponse, HeartbeatRequest
from tests.support.nats import cluster, settle

FRAMES = [
    json.loads(line) for line in (Path(__file__).parents[1] / "unit" / "bus" / "frames.jsonl").read_text().splitlines()
]
CLOSE = b'{"type":2,"closeError":{"Code":1000,"Text":""}}'


def headers(frame: dict) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in frame["headers"].strip().split("\r\n")[1:])


def data(frame: dict) -> bytes:
    return bytes.fromhex(frame["frame_head_hex"]) + frame["payload"].encode()


def sent_by(side: str, lane: str) -> list[dict]:
    return [frame for frame in FRAMES if frame["dir"] == side and frame["subject"].endswith(lane)]


NODE = sent_by("node>", "out.ctrl")[0]["subject"].split(".")[3]


async def test_legacy_registration_is_refused_as_recorded(tmp_path):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name=NODE)
        reply = await client.request(f"node.management.{NODE}.RegisterNode/v1", b'{"Info":{}}', timeout=5)
        assert (
            reply.data
            == b'{"value":{"Accepted":false,"Reason":"node supports NCLv1 protocol - legacy protocol disabled"}}'
        )
        assert reply.headers is None


@pytest.mark.parametrize("frame", sent_by("node>", "out.ctrl"), ids=lambda f: headers(f)["Type"])
async def test_its_requests_are_understood_and_answered_in_shape(tmp_path, frame):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name=frame["subject"].split(".")[3])
        made.up.answer = HandshakeResponse(accepted=True, reason="node registered")
        reply = await client.request(frame["subject"], data(frame), headers=headers(frame), timeout=5)
        assert made.up.got[0].type == headers(frame)["Type"]
        recorded = next(headers(f) for f in FRAMES if headers(f)["Type"] == "transport.HandshakeResponse")
        assert set(reply.headers) == set(recorded) and reply.headers["Bacalhau-Source"] == recorded["Bacalhau-Source"]
        assert unpack(reply.data).metadata == reply.headers


@pytest.mark.parametrize("frame", sent_by("node>", "out.msgs"), ids=lambda f: headers(f)["Type"])
async def test_its_messages_are_taken_and_acknowledged(tmp_path, frame):
    async with cluster(tmp_path) as made:
        node_id = frame["subject"].split(".")[3]
        client = await made.stranger(name=node_id)
        reply = await client.request(frame["subject"], data(frame), headers=headers(frame), timeout=5)
        assert (reply.data, reply.headers) == (b"{}", None)
        assert made.up.got[0][:2] == (node_id, headers(frame)["Type"]) and made.up.got[0].seq == unpack(data(frame)).seq


@pytest.mark.parametrize("frame", sent_by("orch>", "in.msgs"), ids=lambda f: headers(f)["Type"])
async def test_our_messages_reach_it_in_the_recorded_shape(tmp_path, frame):
    async with cluster(tmp_path) as made:
        node_id = frame["subject"].split(".")[3]
        client = await made.stranger(name=node_id)
        got = []

        async def take(msg) -> None:
            got.append(msg)
            await msg.respond(b"{}")

        await client.subscribe(messages_to(node_id), cb=take)
        await settle(client)
        theirs = unpack(data(frame))
        await made.orchestrator.send(node_id, theirs.type, encode(theirs.message()), theirs.seq)
        ours = got[0]
        assert ours.subject == frame["subject"]
        assert {k: v for k, v in ours.headers.items() if k != "Bacalhau-EventTime"} == {
            k: v for k, v in headers(frame).items() if k != "Bacalhau-EventTime"
        }
        assert unpack(ours.data).metadata == ours.headers and unpack(ours.data).message() == theirs.message()


@pytest.mark.parametrize("frame", sent_by("orch>", "in.msgs"), ids=lambda f: headers(f)["Type"])
async def test_our_node_takes_the_messages_of_its_orchestrator(tmp_path, frame):
    async with cluster(tmp_path) as made:
        node_id = frame["subject"].split(".")[3]
        _, down = await made.node(node_id)
        link = made.orchestrator._link
        answered = asyncio.get_running_loop().create_future()
        async with link.subscribed({"_ACK.test.*": answered.set_result}):
            await link.publish(frame["subject"], data(frame), "_ACK.test.1", headers(frame))
            # An inbox that is not this node's is not answered; the node may only answer where it was asked to.
            await made.orchestrator.send(node_id, "BidAccepted", b"{}", 1)
            await down.until(lambda: len(down.got) == 2)
        assert down.got[0].type == headers(frame)["Type"] and not answered.done()


async def test_its_log_stream_is_read(tmp_path):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name=NODE)
        asked = []

        async def produce(msg) -> None:
            asked.append(json.loads(msg.data))
            for _ in range(4):
                await client.publish(
                    msg.reply, b'{"type":1,"data":"eyJ2YWx1ZSI6eyJUeXBlIjoxLCJMaW5lIjoibGluZSAxXG4ifX0="}'
                )
            question = json.dumps({"ActiveStreamIds": {msg.subject: ["x", asked[0]["streamId"]]}})
            heart = await client.request(asked[0]["heartBeatRequestSub"], question.encode(), timeout=5)
            assert json.loads(heart.data) == {"NonActiveStreamIds": {msg.subject: ["x"]}}
            await client.publish(msg.reply, CLOSE)

        await client.subscribe(to_node(NODE, LOGS), cb=produce)
        await settle(client)
        found = [line async for line in made.orchestrator.stream_logs(NODE, "e-1", tail=False, follow=True)]
        assert found == [(1, "line 1\n")] * 4
        assert {"consumerId", "streamId", "heartBeatRequestSub", "body"} <= set(asked[0])


async def test_it_may_not_use_the_subjects_of_another(tmp_path):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name="foreign")
        await client.publish(from_node("other", "msgs"), b"x")
        await client.subscribe(messages_to("other"))
        await settle(client)
        assert len(client.errors) == 2


def strange(**metadata: str) -> bytes:
    return pack(encode(HeartbeatRequest(node_id="foreign")), stamp("transport.HeartbeatRequest", "n", 1) | metadata)


@pytest.mark.parametrize("lane", ["msgs", "ctrl", "requests"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        strange(),
        strange(**{TYPE: "BidResult"}),
        strange(**{MESSAGE_ID: "i" * 600_000}),
        strange(**{SOURCE: "\r\n"}),
    ],
    ids=["empty", "request", "report", "long name", "lines"],
)
async def test_no_message_ends_the_connection_of_the_orchestrator(tmp_path, lane, data):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name="foreign")
        await client.publish(from_node("foreign", lane), data)
        answered = await client.request(from_node("foreign", lane), data, timeout=5)
        assert answered.data and made.orchestrator._link.number == 1


@pytest.mark.parametrize("name", ["i" * 600_000, "a\r\nb: c", "\u00e9"])
async def test_an_answer_repeats_no_strange_name(tmp_path, name):
    async with cluster(tmp_path) as made:
        client = await made.stranger(name="foreign")
        reply = await client.request(from_node("foreign", "ctrl"), strange(**{MESSAGE_ID: name}), timeout=5)
        assert MESSAGE_ID not in reply.headers and "b" not in reply.headers
