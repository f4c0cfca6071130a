"""What a daemon may say that nobody can read."""

import pytest

from bacalhau.lib.errors import EngineFailure
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.isolation import Facts
from tests.support.scripted_api import answer, scripted_api


async def test_lines_that_cannot_be_read_are_a_failure_of_the_engine():
    """An event holds the labels of its image, however long; who follows events must not die of them."""

    async def daemon(request):
        if request.path.endswith("/version"):
            return answer({"ApiVersion": "1.41", "Version": "20.10"})
        return answer('{"label": "' + "x" * 2_000_000 + '"}\n' if request.path.endswith("/events") else "no JSON\n")

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            with pytest.raises(EngineFailure, match="failed to follow events: the answer cannot be read"):
                async with api.events({}) as events:
                    assert [event async for event in events] == []
            with pytest.raises(EngineFailure, match="failed to pull image alpine: the answer cannot be read"):
                assert [line async for line in api.pull("alpine")] == []
        finally:
            await api.close()


@pytest.mark.parametrize(
    ("told", "has_init"),
    [
        ({"InitBinary": "docker-init", "InitCommit": {"ID": "de40ad0"}}, True),
        ({"InitBinary": "docker-init", "InitCommit": {"ID": ""}}, True),
        ({"InitBinary": "docker-init"}, True),
        ({"InitBinary": "docker-init", "InitCommit": {"ID": "N/A"}}, False),
        ({"InitBinary": "", "InitCommit": None}, False),
        ({}, False),
    ],
)
async def test_a_daemon_whose_process_1_cannot_be_run_has_none(told, has_init):
    async def daemon(request):
        if request.path.endswith("/version"):
            return answer({"ApiVersion": "1.41", "Version": "20.10"})
        return answer({"Runtimes": {"runsc": {"path": "runsc"}, "runc": {"path": "runc"}}, **told})

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            assert await api.info() == Facts(("runc", "runsc"), has_init, is_podman=False)
        finally:
            await api.close()


PODMAN = {"ApiVersion": "1.41", "Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}


@pytest.mark.parametrize(
    ("told", "facts"),
    [
        ({"Rootless": False, "CgroupVersion": "1"}, Facts(("crun",), False, True)),
        ({"Rootless": True, "CgroupVersion": "2"}, Facts(("crun",), False, True, is_rootless=True)),
        ({"Rootless": True, "CgroupVersion": "1"}, Facts(("crun",), False, True, is_rootless=True, has_limits=False)),
    ],
)
async def test_what_podman_cannot_do_is_seen_in_what_it_tells(told, facts):
    """It says that it knows runsc where that is not installed, and that it limits memory where it does not."""

    async def daemon(request):
        if request.path.endswith("/version"):
            return answer(PODMAN)
        return answer({"DefaultRuntime": "crun", "Runtimes": {"crun": {}, "runsc": {}}, "MemoryLimit": True, **told})

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            assert await api.info() == facts
        finally:
            await api.close()


async def test_a_container_that_podman_is_removing_is_gone():
    async def daemon(request):
        if request.path.endswith("/version"):
            return answer(PODMAN)
        return answer({"message": "container 1fe does not exist in database: no such container"}, 500)

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            await api.stop("1fe", 0)
            await api.remove("1fe")
            assert await api.inspect("1fe") is None
        finally:
            await api.close()


async def test_a_program_that_podman_misses_when_it_is_attached_to_is_told_as_by_docker():
    words = "executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found"

    async def daemon(request):
        if request.path.endswith("/version"):
            return answer(PODMAN)
        return answer(f'preparing container for attach: runc: exec: "nope": {words}', 409)

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            with pytest.raises(EngineFailure) as failed:
                async with api.attach("1fe"):
                    pass
            told = 'failed to start container: executable file not found: exec: "nope"'
            assert failed.value.message.startswith(told)
        finally:
            await api.close()


async def test_a_name_that_podman_has_given_already_is_taken():
    async def daemon(request):
        if request.path.endswith("/version"):
            return answer(PODMAN)
        told = 'creating container storage: the container name "b" is already in use by c9. You have to remove it'
        return answer({"message": f"container create: {told}"}, 500)

    async with scripted_api(daemon) as url:
        api = DockerApi(url)
        try:
            assert await api.create("b", {}) == ""
        finally:
            await api.close()
