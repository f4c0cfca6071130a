"""Bringing images: what is here is used, what is not is pulled once for all who wait, and either is pinned."""

import asyncio
import logging
import os
import time
from typing import Any, NamedTuple

from bacalhau.lib.aio import Crew
from bacalhau.lib.errors import BacalhauError, EngineFailure
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.credentials import find_login
from bacalhau.plugins.docker.params import DockerParams
from bacalhau.plugins.docker.reference import read_repository
from bacalhau.plugins.docker.rules import ANOTHER_NODE, Rules
from bacalhau.ports.progress import Report, Step

log = logging.getLogger(__name__)
FRESH_SECONDS = 1.0  # a burst of executions of one image asks the daemon once; a re-tagged image is seen a second later


class Program(NamedTuple):
    """The command that an image starts when a job names none."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def first(self, params: DockerParams) -> str:
        """Return the program that becomes process 1 for a job, "" for none. Its own entry point takes the image's
        command away, as in Docker.
        """
        own = tuple(params.entrypoint or ())
        words = own or self.entrypoint
        words += tuple(params.parameters or ()) or (() if own else self.command)
        return words[0] if words else ""


class PullProgress:
    """Layers and bytes of one pull, from the daemon's progress lines."""

    def __init__(self) -> None:
        self._done: dict[str, bool] = {}
        self._bytes: dict[str, tuple[int, int]] = {}

    def add(self, line: dict[str, Any]) -> Step:
        layer, status = str(line.get("id", "")), str(line.get("status", ""))
        if status == "Pulling fs layer":
            self._done[layer] = False
        elif layer in self._done:
            self._done[layer] |= status == "Pull complete"
            self._count(layer, status, line.get("progressDetail") or {})
        elif status == "Already exists":
            self._done[layer] = True
        known = self._bytes.values()
        return Step(
            "pulling", sum(self._done.values()), len(self._done), sum(k[0] for k in known), sum(k[1] for k in known)
        )

    def _count(self, layer: str, status: str, detail: dict[str, Any]) -> None:
        total = int(detail.get("total") or self._bytes.get(layer, (0, 0))[1])
        if status == "Downloading":
            self._bytes[layer] = (int(detail.get("current") or 0), total)
        elif status in ("Download complete", "Pull complete"):
            self._bytes[layer] = (total, total)


class _Pull:
    """A pull in progress: who wants to hear of it, and how it ended (None: the image is here)."""

    def __init__(self) -> None:
        self.listeners: list[Report] = []
        self.outcome: asyncio.Future[BacalhauError | None] = asyncio.get_running_loop().create_future()


class Images:
    """Pulls run under `crew`: one whose asker was cancelled goes on for the others."""

    def __init__(self, api: DockerApi, crew: Crew, rules: Rules) -> None:
        self._api = api
        self._crew = crew
        self._rules = rules
        self._pinned: dict[str, tuple[float, str]] = {}
        self._programs: dict[str, Program] = {}
        self._pulls: dict[str, _Pull] = {}

    async def bring(self, image: str, report: Report) -> str:
        """The pinned reference: `name@sha256:…`, or `sha256:…` for an image without a registry digest."""
        fresh, pinned = self._pinned.get(image, (0.0, ""))
        if time.monotonic() < fresh:
            return pinned
        found = await self._api.inspect_image(image)
        if found is None:
            await self._shared_pull(image, report)
            found = await self._api.inspect_image(image)
        if found is None:
            raise EngineFailure(
                f"image not available: {image} was not found",
                hint="the pull ended but the image is not on the node",
                retryable=True,
                component="Docker",
            )
        if reason := self._rules.disguise(image, found):
            raise EngineFailure(reason, hint=ANOTHER_NODE, retryable=True, component="Docker")
        pinned = pin(image, found)
        self._pinned[image] = (time.monotonic() + FRESH_SECONDS, pinned)
        self._programs[pinned] = _program(found)
        return pinned

    async def program_of(self, pinned: str) -> Program:
        """Return the command of a pinned image, which never changes; an empty one when the image is gone."""
        if pinned not in self._programs:
            found = await self._api.inspect_image(pinned)
            if found is None:
                return Program()
            self._programs[pinned] = _program(found)
        return self._programs[pinned]

    async def _shared_pull(self, image: str, report: Report) -> None:
        if os.environ.get("SKIP_IMAGE_PULL"):
            raise EngineFailure(
                f"image not available: {image} was not found",
                hint="SKIP_IMAGE_PULL is set on the node, so it was not pulled",
                component="Docker",
            )
        pull = self._pulls.get(image)
        if pull is None:
            pull = self._pulls[image] = _Pull()
            self._crew.start(self._pull(image, pull))
        pull.listeners.append(report)
        try:
            if (failure := await asyncio.shield(pull.outcome)) is not None:
                raise failure
        finally:
            pull.listeners.remove(report)

    async def _pull(self, image: str, pull: _Pull) -> None:
        progress, failure = PullProgress(), None
        try:
            login = await find_login(read_repository(image))
            log.info("pulling image %s: the registry is asked %s", image, login.told)
            async for line in self._api.pull(image, login):
                step = progress.add(line)
                for report in pull.listeners:
                    report(step)
        except BacalhauError as e:
            failure = e
        finally:
            del self._pulls[image]
            pull.outcome.set_result(failure)


def pin(image: str, found: dict[str, Any]) -> str:
    """The registry digest of the repository that was asked for, else the image's own id."""
    repository = read_repository(image)
    for digest in found.get("RepoDigests") or ():
        if read_repository(digest) == repository:
            return str(digest)
    return str(found["Id"])


def _program(found: dict[str, Any]) -> Program:
    config = found.get("Config") or {}
    return Program(tuple(config.get("Entrypoint") or ()), tuple(config.get("Cmd") or ()))
