"""Runs tasks as containers of Docker or Podman. What a container looks like is container.py's, the API is api.py's;
here is the order of things: make or find the container, start it, see it through, take it away.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.lib.aio import Crew, crew, together
from bacalhau.lib.errors import BacalhauError, EngineFailure, NotFound, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.docker.api import Chunk, DockerApi
from bacalhau.plugins.docker.container import (
    EXECUTION_LABEL,
    EXECUTOR_LABEL,
    Surroundings,
    container_config,
    container_name,
)
from bacalhau.plugins.docker.egress import Egress
from bacalhau.plugins.docker.endings import Endings
from bacalhau.plugins.docker.extras import FILES
from bacalhau.plugins.docker.failure import INIT_FAILED, FilesLimitRefused, not_executed
from bacalhau.plugins.docker.handover import hand_over
from bacalhau.plugins.docker.image import Images
from bacalhau.plugins.docker.isolation import KEY, USUAL, Facts, Isolation, read_isolation
from bacalhau.plugins.docker.mounts import check_held, check_mounted, naming_places
from bacalhau.plugins.docker.output import OutputFiles, read_short
from bacalhau.plugins.docker.params import DockerParams, check_engine
from bacalhau.plugins.docker.podman import check_podman
from bacalhau.plugins.docker.rules import ANOTHER_NODE, FREE, Rules, read_rules
from bacalhau.ports.engine import EngineTask, Exit
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report

CHECK_SECONDS = 3.0  # how long an answer to `check` holds
FACTS_SECONDS = 60.0  # how long the daemon's account of what it has holds
DRAIN_SECONDS = 10.0  # from a container's end to the end of its output
REMOVE_SECONDS = 60.0
REMOVE_AGAIN = 1.0  # seconds until a daemon that was away is asked again
RECONNECT_SECONDS = 60.0  # how long a lost daemon may take to come back while tasks run
RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0
BLAME_LOOKS = 5  # at why a container was killed
KILLED = 137  # 128 + SIGKILL: what the kernel's memory killer leaves, too
# Exit codes that a daemon leaves when it ends containers, or finds them ended, as it stops or starts:
# 143 is 128 + SIGTERM, 255 is "unknown".
STOPPED = (KILLED, 143, 255)
LIVE_RESTORE = "stop jobs by `bacalhau job stop`; Docker's live-restore keeps containers while the daemon is restarted"
NO_LIMITS = "Podman is not run by root, and the control groups of this machine are of version 1"

log = logging.getLogger(__name__)


class _Watch:
    """A `run` of this process. `grace` is set by a stop: however far the run has come, it must not go on."""

    def __init__(self, grace: float | None) -> None:
        self.grace = grace
        self.seen = 0.0  # when the container was last found or told to run (monotonic seconds); 0: not yet


class DockerEngine:
    """An Engine that Prepares and Sweeps; open it with `async with`.

    `run` returns at the end of the container, which is then taken away in the background; leaving the block waits for
    that, and `sweep` finds what a crash in between has left.
    """

    def __init__(
        self,
        url: str = "",
        reach: Reach = EVERYWHERE,
        *,
        rules: Rules = FREE,
        isolation: Isolation = USUAL,
    ) -> None:
        """`url` "" is DOCKER_HOST or the first usual socket that answers; `reach` is the rule for network HTTP."""
        self._api = DockerApi(url)
        self._rules, self._isolation = rules, isolation
        self._facts, self._asking = (0.0, Facts()), asyncio.Lock()
        self._egress = Egress(self._api, reach)
        self._stack = AsyncExitStack()
        self._watches: dict[str, _Watch] = {}
        self._stops: dict[str, float] = {}  # of what nobody watches, while they last
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._checked = (0.0, "", "")
        self._leaving = False

    async def __aenter__(self) -> "DockerEngine":
        self._stack.push_async_callback(self._api.close)
        self._crew: Crew = await self._stack.enter_async_context(crew())
        self._stack.push_async_callback(self._egress.close)
        self._stack.push_async_callback(self._drain)
        self._images = Images(self._api, self._crew, self._rules)
        self._endings = Endings(self._api, self._crew)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def check(self) -> None:
        until, problem, hint = self._checked
        if time.monotonic() >= until:
            problem = hint = ""
            try:
                await self._api.ping()
                if self._isolation.asks_daemon:
                    self._isolation.require(await self._api.info())
            except BacalhauError as e:
                problem, hint = e.message, e.hint
            self._checked = (time.monotonic() + CHECK_SECONDS, problem, hint)
        if problem:
            raise Unavailable(problem, hint=hint, component="Docker")

    def list_task_objections(self, params: dict[str, Any], network: NetworkConfig) -> list[str]:
        spec = SpecConfig(type="docker", params=params)
        problems = check_engine(spec)
        if problems:
            return problems
        wanted = require_params(spec, DockerParams)
        return self._rules.list_objections(wanted.image, network, wanted.extras)

    async def prepare(self, params: dict[str, Any], report: Report) -> str:
        image = _read(params).image
        _require_none([self._rules.object_to_image(image)])
        return await self._images.bring(image, report)

    async def run(self, task: EngineTask, report: Report) -> Exit:
        params = _read(task.params)
        try:
            _require_none(self._rules.list_objections(params.image, task.network, params.extras))
        except EngineFailure:
            self._discard(container_name(task.execution_id))  # it may run by earlier settings
            raise
        task = task._replace(network=self._rules.settle(task.network))
        watch = self._watches[task.execution_id] = _Watch(self._stops.get(task.execution_id))
        try:
            image = task.image or await self._images.bring(params.image, report)
            detour = await self._egress.open(task.node_id) if task.network.kind() == NetworkType.HTTP else None
            program = (await self._images.program_of(image)).first(params)
            suited = self._isolation.suited_to(program)
            around = Surroundings(suited, await self._ask_facts(), detour, self._rules.allowance)
            await self._check_task(task, params, around.facts)
            try:
                return await self._run(task, container_config(task, params, image, around), watch)
            except FilesLimitRefused:
                if any(one.name == FILES for one in params.extras.ulimits):
                    raise
                self._leave_files_limit()
                around = around._replace(isolation=replace(around.isolation, max_open_files=0))
                watch.seen = 0.0
                return await self._run(task, container_config(task, params, image, around), watch)
        finally:
            del self._watches[task.execution_id]

    def _leave_files_limit(self) -> None:
        """Leave the limit of open files to the daemon from now on; its own is lower."""
        if self._isolation.max_open_files:
            log.warning("%s.MaxOpenFiles is more than the Docker daemon may give: its own limit holds", KEY)
            self._isolation = replace(self._isolation, max_open_files=0)

    async def _ask_facts(self) -> Facts:
        """Ask the daemon what it has, once for a burst of tasks."""
        async with self._asking:
            until, facts = self._facts
            if time.monotonic() >= until:
                facts = await self._api.info()
                if not until and not facts.has_limits:
                    log.warning("limits of CPU, memory and processes do not hold: %s", NO_LIMITS)
                self._facts = (time.monotonic() + FACTS_SECONDS, facts)
            return facts

    async def stop(self, execution_id: str, grace: float) -> None:
        name = container_name(execution_id)
        watch = self._watches.get(execution_id)
        if watch is not None:
            watch.grace = grace
            await self._api.stop(name, math.ceil(grace))
            return
        self._stops[execution_id] = grace
        try:
            await self._api.stop(name, math.ceil(grace))
            await hand_over(self._api, name)
            await self._api.remove(name)
        finally:
            self._stops.pop(execution_id, None)

    async def sweep(self, node_id: str, keep: frozenset[str]) -> list[str]:
        removed = []
        for found in await self._api.list_by_label(f"{EXECUTOR_LABEL}={node_id}"):
            execution_id = found["Labels"].get(EXECUTION_LABEL, "")
            if execution_id not in keep and execution_id not in self._watches:
                await hand_over(self._api, found["Id"])
                await self._api.remove(found["Id"])
                removed.append(execution_id)
        return removed

    async def _check_task(self, task: EngineTask, params: DockerParams, facts: Facts) -> None:
        if facts.is_podman:
            await asyncio.to_thread(check_podman, task, params.extras, facts, self._api.url)
        if any(mount.held for mount in task.mounts):
            await asyncio.to_thread(check_held, task.mounts, self._api.url, podman=facts.is_podman)

    async def _check_mounted(self, container_id: str, task: EngineTask) -> None:
        """Compare what Podman has mounted with what is held, between its two steps of a start."""
        if not self._api.is_podman or not any(mount.held for mount in task.mounts):
            return
        found = await self._api.inspect(container_id)
        if found is None:
            raise NotFound(f"container {container_id} is gone", component="Docker")
        await asyncio.to_thread(check_mounted, task.mounts, int(found["State"]["Pid"]))

    async def _run(self, task: EngineTask, config: dict[str, Any], watch: _Watch) -> Exit:
        """Until the container's end, through losses of the daemon once the container has run."""
        name = container_name(task.execution_id)
        if (removal := self._removals.get(name)) is not None:
            await asyncio.wait([removal])
        lost_at, pause = 0.0, RETRY_SECONDS
        while True:
            try:
                with naming_places(task.mounts):
                    end = await self._make_and_watch(name, task, config, watch)
                    await hand_over(self._api, name)
                break
            except EngineFailure:
                self._discard(name)
                raise
            except Unavailable as e:
                again = watch.seen < lost_at
                lost_at, pause = (
                    (lost_at, min(2 * pause, LAST_RETRY_SECONDS)) if again else (time.monotonic(), RETRY_SECONDS)
                )
                if not watch.seen or watch.grace is not None or time.monotonic() - lost_at > RECONNECT_SECONDS:
                    if watch.seen:
                        self._discard(name)  # it may run on
                    raise
                log.log(
                    logging.DEBUG if again else logging.WARNING,
                    "execution %s: %s; trying again",
                    task.execution_id,
                    e.message,
                )
                await asyncio.sleep(pause)
        self._discard(name)
        if lost_at and end.code in STOPPED and watch.grace is None:
            raise EngineFailure(
                "the container was stopped with the Docker daemon",
                hint=LIVE_RESTORE,
                retryable=True,
                component="Docker",
            )
        return end

    async def _make_and_watch(self, name: str, task: EngineTask, config: dict[str, Any], watch: _Watch) -> Exit:
        container_id, found = await self._create_or_find(name, config, anew=any(m.held for m in task.mounts))
        image = str((found or config)["Image"])
        if watch.grace is not None and found is None:
            return Exit(KILLED, image)
        self._endings.expect(container_id)
        try:
            code = await self._see_through(container_id, found, task, watch)
            stopped = watch.grace is None and self._endings.was_stopped(container_id)
        except NotFound as e:
            if watch.grace is not None:
                return Exit(KILLED, image)
            raise EngineFailure(
                "the container was removed while it ran", hint=e.message, retryable=True, component="Docker"
            ) from e
        finally:
            self._endings.forget(container_id)
        if stopped:
            raise EngineFailure(
                "the container was stopped by somebody else, or with the Docker daemon",
                hint=LIVE_RESTORE,
                retryable=True,
                component="Docker",
            )
        if code == KILLED and watch.grace is None:
            await self._blame(container_id, task)
        if code in INIT_FAILED and (failure := not_executed(read_short(task.stderr))):
            raise failure
        return Exit(code, image)

    async def _create_or_find(
        self, name: str, config: dict[str, Any], *, anew: bool
    ) -> tuple[str, dict[str, Any] | None]:
        """The id, and for a container that was there already its {"Image", "Status"}.

        `anew`: one that was made and not started is made again, because what it names may have ended with its process.
        """
        useless = ("removing", "dead", "created") if anew else ("removing", "dead")
        for _ in range(int(REMOVE_SECONDS / RETRY_SECONDS)):
            try:
                if made := await self._api.create(name, config):
                    reach(Point.NODE_CREATED)
                    return made, None
            except NotFound as e:
                raise EngineFailure(
                    f"image {config['Image']} is no longer on the node",
                    hint=e.message,
                    retryable=True,
                    component="Docker",
                ) from e
            found = await self._api.inspect(name)
            if found is not None and found["State"]["Status"] not in useless:
                named = str(found["Config"]["Image"])  # Podman keeps a tag, which may lead to another image by now
                image = named if "sha256:" in named else str(found["Image"])
                return found["Id"], {"Image": image, "Status": found["State"]["Status"]}
            # The name is taken by one that an earlier process was making or removing.
            await self._api.remove(name)
            await asyncio.sleep(RETRY_SECONDS)
        raise EngineFailure(f"the name of container {name} stays taken", retryable=True, component="Docker")

    async def _see_through(
        self, container_id: str, found: dict[str, Any] | None, task: EngineTask, watch: _Watch
    ) -> int:
        """Start what is not started yet and follow it to its end; returns the exit code."""
        with OutputFiles(task, resumes=found is not None) as files:
            if found is None:
                async with self._api.attach(container_id) as chunks:
                    await self._check_mounted(container_id, task)
                    if not await self._start(container_id, watch):
                        return KILLED
                    code = await self._follow(container_id, files, chunks)
                if self._endings.has_doubt(container_id):
                    await self._read_log(container_id, files)
                return code
            if found["Status"] == "created" and not await self._start(container_id, watch):
                return KILLED
            watch.seen = time.monotonic()
            if found["Status"] != "exited":
                async with self._api.logs(container_id, follow=True) as chunks:
                    await self._follow(container_id, files, chunks)
            code = await self._endings.exit_code(container_id)
            await self._read_log(container_id, files)  # following may miss the last piece
            return code

    async def _read_log(self, container_id: str, files: OutputFiles) -> None:
        """Read the log of an ended container, which is whole, and begins with what is written already."""
        files.rewind()
        async with self._api.logs(container_id, follow=False) as chunks:
            await files.take(chunks)

    async def _start(self, container_id: str, watch: _Watch) -> bool:
        """Start the container; return False when a stop came first. A stop that comes meanwhile is repeated: it may
        have found nothing running.
        """
        if watch.grace is not None:
            return False
        watch.seen = time.monotonic()
        await self._api.start(container_id)
        reach(Point.NODE_STARTED)
        if watch.grace is not None:
            self._crew.start(self._quietly(self._api.stop(container_id, math.ceil(watch.grace))))
        return True

    async def _follow(self, container_id: str, files: OutputFiles, chunks: AsyncIterator[Chunk]) -> int:
        """Output and ending side by side. Output that goes on after its container counts as a lost connection."""

        async def ended() -> int:
            code = await self._endings.exit_code(container_id)
            reach(Point.NODE_ENDED)
            limit.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
            return code

        async with asyncio.timeout(None) as limit:
            code, _ = await together(ended(), files.take(chunks))
        return int(code)

    async def _blame(self, container_id: str, task: EngineTask) -> None:
        """Raise the EngineFailure of a container that was killed. The daemon may hear that the kernel killed for want
        of memory only after it heard of the end.
        """
        for _ in range(BLAME_LOOKS):
            found = await self._api.inspect(container_id)
            if found is None or found["State"].get("OOMKilled"):
                break
            await asyncio.sleep(RETRY_SECONDS)
        if found is None:
            raise EngineFailure(
                "the container was removed while it ran",
                hint="remove jobs by `bacalhau job stop`",
                retryable=True,
                component="Docker",
            )
        if found["State"].get("OOMKilled"):
            limit = (
                f"the task was killed at its limit of {show_bytes(task.resources.memory)}"
                if task.resources.memory
                else "the node ran out of memory"
            )
            raise EngineFailure(f"memory limit exceeded: {limit}", hint="ask for more memory", component="Docker")

    def _discard(self, name: str) -> None:
        """Take a container away in the background: its network is still being torn down when its end is known."""
        removal = self._removals[name] = self._crew.start(self._quietly(self._remove(name)))
        removal.add_done_callback(lambda _: self._removals.pop(name, None))

    async def _remove(self, name: str) -> None:
        """Remove the container as soon as the daemon can be reached."""
        while True:
            try:
                await hand_over(self._api, name)
                return await self._api.remove(name)
            except Unavailable:
                if self._leaving:
                    raise
                await asyncio.sleep(REMOVE_AGAIN)

    async def _drain(self) -> None:
        self._leaving = True
        if self._removals:
            await asyncio.wait(list(self._removals.values()), timeout=REMOVE_SECONDS)

    async def _quietly(self, request: Coroutine[Any, Any, None]) -> None:
        """Await a request; a failure is logged and left to `sweep`."""
        try:
            await request
        except BacalhauError as e:
            log.warning("%s", e.message)


def _read(params: dict[str, Any]) -> DockerParams:
    spec = SpecConfig(type="docker", params=params)
    if problems := check_engine(spec):
        raise EngineFailure(problems, component="Docker")
    return require_params(spec, DockerParams)


def _require_none(objections: list[str]) -> None:
    """Return when the rules of this node allow a task. Raises EngineFailure naming the settings."""
    if told := "; ".join(filter(None, objections)):
        raise EngineFailure(f"this node {told}", hint=ANOTHER_NODE, retryable=True, component="Docker")


def make_engine(setting: Setting) -> DockerEngine:
    settings = setting.config.engines.types.docker
    rules = read_rules(settings, is_own=setting.reach.own)
    return DockerEngine(reach=setting.reach, rules=rules, isolation=read_isolation(settings))
