"""The administrator's own words about a job: real commands, a real web server."""

import asyncio
import json

import pytest
from aiohttp import web

from bacalhau.plugins.probe.command import VARIABLE, CommandProbe
from bacalhau.plugins.probe.web import WebProbe

JOB = b'{"Job":{"ID":"j-1","Name":"a \'b\' \\"c\\""}}'


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("true", ""),
        ("exit 3", "the admission command refused the job with exit code 3"),
        ("echo not today >&2; exit 1", "not today"),
        ("echo all is well >&2", ""),
        ("grep -q '\"j-1\"'", ""),
        ("grep -q '\"j-2\"' || { echo not mine >&2; false; }", "not mine"),
        (f'[ "${VARIABLE}" = "$(cat)" ]', ""),
        ('[ -z "$HOME$SECRET" ]', ""),
        ("exec 0<&-; true", ""),
    ],
)
async def test_commands(command, reason, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    assert await CommandProbe(command).ask(JOB) == reason


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    answer = await CommandProbe(f"echo $$ > {tmp_path}/pid; sleep 1000 & wait", 0.5).ask(JOB)
    assert answer == "the admission command did not answer within 0.5 s"
    assert (tmp_path / "pid").read_text().strip()


async def test_a_job_too_large_for_a_variable_is_on_stdin():
    large = json.dumps({"Job": {"Name": "x" * 300_000}}).encode()
    assert await CommandProbe(f'[ -z "${VARIABLE}" ] && [ "$(wc -c)" = {len(large)} ]').ask(large) == ""


class Service:
    """Answers as it is told; the path /silent is never answered."""

    def __init__(self):
        self.status, self.body, self.asked, self.url = 200, b"", [], ""
        self._end = asyncio.Event()

    async def answer(self, request):
        if request.path == "/silent":
            await self._end.wait()
        self.asked.append((request.method, request.headers["Content-Type"], await request.read()))
        return web.Response(status=self.status, body=self.body)

    def end(self):
        self._end.set()


@pytest.fixture
async def service():
    made = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.end()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"", ""),
        (200, b"welcome", ""),
        (200, b'["no object"]', ""),
        (200, b'{"ShouldBid": true, "Reason": "fine"}', ""),
        (200, b'{"shouldBid": false, "reason": "too large"}', "too large"),
        (200, b'{"ShouldBid": false}', "the admission service refused the job"),
        (403, b"", "the admission service refused the job with status 403"),
        (500, b'{"Reason": "on fire"}', "on fire"),
    ],
)
async def test_a_web_service(service, status, body, reason):
    service.status, service.body = status, body
    assert await WebProbe(f"{service.url}/admit").ask(JOB) == reason
    assert service.asked == [("POST", "application/json", JOB)]


async def test_a_web_service_that_is_not_there_or_silent(service):
    assert (await WebProbe("http://127.0.0.1:1/x").ask(JOB)).startswith("the admission service cannot be reached: ")
    assert await WebProbe(f"{service.url}/silent", 0.3).ask(JOB) == "the admission service did not answer within 0.3 s"


async def test_an_answer_that_comes_in_several_pieces_is_read_whole(service):
    service.body = json.dumps({"Reason": "no " * 100_000, "ShouldBid": False}).encode()
    assert (await WebProbe(f"{service.url}/admit").ask(JOB)).startswith("no no")
