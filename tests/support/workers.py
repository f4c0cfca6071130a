"""`pytest -n 3 -p tests.support.workers`: what the workers share is made before they start, and what must not meet
stays with one of them.
"""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

from bacalhau.app.dockerd import docker_available, ensure_image

# Longest first, so that no worker begins with something long when the others have ended.
ORDER = ("peers", "scenario", "cli", "contract", "api")
# A second daemon writes the machine's packet filter anew, under the feet of tasks that are on a network.
NETWORK = {"test_engine_docker", "test_engine_dockerd", "test_engine_http", "test_offer", "test_tasks"}
# One worker starts the S3 servers that these share.
STORES = {
    "test_s3_links",
    "test_s3_odd_names",
    "test_s3_publish",
    "test_s3_servers",
    "test_s3_source",
    "test_s3_stores",
}
# Long, and every test has its own system.
SINGLY = {"test_failpoints", "test_nodes"}


def _is_podman(nodeid: str) -> bool:
    return "[podman" in nodeid or "test_engine_podman" in nodeid


class ByModule(LoadScopeScheduling):
    """A module's tests share its fixtures, so one worker has them all."""

    def _split_scope(self, nodeid: str) -> str:
        if _is_podman(nodeid):
            return "podman"  # one service for all
        path = nodeid.partition("::")[0]
        name = PurePosixPath(path).stem
        if name in SINGLY:
            return nodeid
        if name in STORES:
            return "stores"
        return "network" if name in NETWORK else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByModule:
    config.option.loadscopereorder = False
    return ByModule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(ORDER)}

        def place(item: pytest.Item) -> int:
            folder = item.path.relative_to(config.rootpath / "tests").parts[0]
            return -1 if _is_podman(item.nodeid) else places.get(folder, len(places))

        items.sort(key=place)


def pytest_sessionstart(session: pytest.Session) -> None:
    """One daemon for all: two would give out the same addresses. Its image is there before anybody looks for it."""
    if session.config.getoption("dist") == "no" or hasattr(session.config, "workerinput"):
        return
    runner, stack = asyncio.Runner(), AsyncExitStack()
    session.config.add_cleanup(runner.close)
    session.config.add_cleanup(lambda: runner.run(stack.aclose()))
    os.environ["DOCKER_HOST"] = runner.run(_shared_docker(stack))


async def _shared_docker(stack: AsyncExitStack) -> str:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bacalhau-tests-", ignore_cleanup_errors=True))
    url = await stack.enter_async_context(docker_available(Path(folder), print))
    await ensure_image(url, print)
    return url
