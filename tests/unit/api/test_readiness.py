"""The check of the parts of a process: shared by those who ask, and bounded in time."""

import asyncio

from bacalhau.api.http import readiness
from bacalhau.api.http.readiness import WITHHELD, Part, Readiness
from bacalhau.lib.errors import Unavailable


async def test_many_who_ask_at_once_cost_one_check():
    asked = []

    async def ask():
        asked.append(1)
        return ""

    checks = Readiness([Part("store", ask)], is_open=True)
    told = await asyncio.gather(*(checks.check() for _ in range(50)))
    assert len(asked) == 1 and all(one.ready for one in told)


async def test_a_part_that_never_answers_is_told_and_hides_no_other(monkeypatch):
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.01)

    async def hang():
        await asyncio.Event().wait()
        return ""

    async def fail():
        raise Unavailable("lost nats://name:secret@host")

    told = await Readiness([Part("store", hang), Part("bus", fail)], is_open=True).check()
    assert (told.parts[0].name, told.parts[0].reason) == ("store", "no answer within 0.01 s")
    assert told.parts[1].reason.startswith("lost nats://") and "secret" not in told.parts[1].reason
    closed = await Readiness([Part("bus", fail)], is_open=False).check()
    assert closed.parts[0].reason == WITHHELD and not closed.ready
