"""A daemon that goes away at the wrong moment."""

import asyncio

import pytest

from bacalhau.lib.errors import Unavailable
from bacalhau.plugins.docker import engine as module
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task
from tests.support.scripted_api import answer, scripted_api


class Daemon:
    """Has a running container under every name; hangs up on everybody while it is away."""

    def __init__(self):
        self.followed, self.away, self.back, self.refused, self.removed = (asyncio.Event() for _ in range(5))

    async def __call__(self, request):
        if not self.away.is_set():
            if request.path.endswith("/version"):
                return answer({"ApiVersion": "1.41", "Version": "20.10"})
            if request.path.endswith("/info"):
                return answer({})
            if request.path.endswith("/create"):
                return answer({"message": "the name is taken"}, 409)
            if request.path.endswith("/json"):
                return answer(
                    {"Id": "c1", "Image": "sha256:i", "State": {"Status": "running"}, "Config": {"Image": "i"}}
                )
            if request.path.endswith("/logs"):
                self.followed.set()
            await self.away.wait()
        elif self.back.is_set() and request.method == "DELETE":
            self.removed.set()
            return answer("", 204)
        elif request.method == "DELETE":
            self.refused.set()
        request.transport.close()
        return answer("")


async def test_what_could_not_be_stopped_is_removed_when_the_daemon_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REMOVE_AGAIN", 0.05)
    daemon = Daemon()
    async with scripted_api(daemon) as url, DockerEngine(url.replace("http", "tcp")) as engine:
        run = asyncio.create_task(engine.run(make_task(tmp_path, "e-1", {"Image": "i"}, image="i"), ignore))
        await asyncio.wait_for(daemon.followed.wait(), 5)
        stop = asyncio.create_task(engine.stop("e-1", 1.0))
        daemon.away.set()
        for failing in (stop, run):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(failing, 5)
        await asyncio.wait_for(daemon.refused.wait(), 5)
        daemon.back.set()
        await asyncio.wait_for(daemon.removed.wait(), 5)


async def test_leaving_does_not_wait_for_a_daemon_that_is_away(tmp_path):
    daemon = Daemon()
    async with scripted_api(daemon) as url, asyncio.timeout(10):
        async with DockerEngine(url.replace("http", "tcp")) as engine:
            run = asyncio.create_task(engine.run(make_task(tmp_path, "e-1", {"Image": "i"}, image="i"), ignore))
            await asyncio.wait_for(daemon.followed.wait(), 5)
            stop = asyncio.create_task(engine.stop("e-1", 1.0))
            daemon.away.set()
            await asyncio.wait((stop, run), timeout=5)
        assert isinstance(run.exception(), Unavailable)
        assert isinstance(stop.exception(), Unavailable)
