"""What is different with Podman, on a real one: folders of a node, and what its API leaves out."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from bacalhau.border.places import hold_place
from bacalhau.border.tar import Member, join
from bacalhau.config.load import load_config
from bacalhau.lib.aio import together
from bacalhau.lib.errors import EngineFailure, Unavailable
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.resources import Resources
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import container_name
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.isolation import read_isolation
from bacalhau.plugins.docker.mounts import mount_config
from bacalhau.ports.engine import EngineTask, Exit, Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task


def shell(folder: Path, image: str, script: str, **changes: object) -> EngineTask:
    params = {"image": image, "entrypoint": ["sh", "-c"], "parameters": [script]}
    return make_task(folder, new_execution_id(), params, **changes)


async def run(url: str, task: EngineTask) -> tuple[Exit, str]:
    async with DockerEngine(url) as engine:
        end = await engine.run(task, ignore)
    return end, task.stdout.read_text()


def held_mount(path: Path, target: str, *, read_only: bool) -> Mount:
    held = hold_place(str(path))
    return Mount(held.path, target, read_only, held)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that jobs may change, beside one that they may not see."""
    for name in ("data/x", "data/y", "secret/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "who").write_text(name)
    return tmp_path / "data"


async def test_folders_and_files_that_jobs_may_change_are_mounted(
    podman_url: str, podman_image: str, tmp_path: Path, shared: Path
) -> None:
    mounts = (
        held_mount(shared / "x", "/in", read_only=False),
        held_mount(shared / "x", "/deep/er", read_only=True),
        held_mount(shared / "y/who", "/file", read_only=True),
    )
    script = "cat /in/who /file; touch /in/new; touch /deep/er/newer || echo ' refused'"
    end, text = await run(podman_url, shell(tmp_path, podman_image, script, mounts=mounts))
    assert (end.code, text) == (0, "data/xdata/y refused\n")
    assert sorted(os.listdir(shared / "x")) == ["new", "who"]


@pytest.mark.parametrize("changed", ["data/x", "data"])
async def test_what_another_job_put_in_the_place_of_a_folder_is_not_seen(
    podman_url: str, podman_image: str, tmp_path: Path, shared: Path, changed: str
) -> None:
    task = shell(tmp_path, podman_image, "touch /in/new", mounts=(held_mount(shared / "x", "/in", read_only=False),))
    (tmp_path / changed).rename(tmp_path / "moved")
    (tmp_path / changed).symlink_to(tmp_path / "secret" / ("x" if changed == "data/x" else ""))
    with pytest.raises(EngineFailure, match=f"^volume {shared}/x is something else by now than what was permitted"):
        await run(podman_url, task)
    assert os.listdir(tmp_path / "secret/x") == ["who"]


async def test_no_folder_is_made_where_a_link_of_another_job_leads(
    podman_url: str, podman_image: str, tmp_path: Path, shared: Path
) -> None:
    """Podman makes the source of a mount when it is missing. The race is lost here before it begins."""
    api = DockerApi(podman_url)
    mount = held_mount(shared / "y", "/in", read_only=False)
    shared.rename(tmp_path / "moved")
    shared.symlink_to(tmp_path / "secret")
    task = shell(tmp_path, podman_image, "true", mounts=(mount,))
    with pytest.raises(EngineFailure, match=f"{shared}/y"):
        await run(podman_url, task)
    config = {"Image": podman_image, "HostConfig": {"Mounts": [mount_config(mount, podman=True)]}}
    try:
        with pytest.raises(EngineFailure, match=f"{shared}/y"):
            await api.create(f"made-{task.execution_id}", config)
    finally:
        await api.close()
    assert os.listdir(tmp_path / "secret") == ["x"]


async def test_a_link_of_the_image_does_not_show_the_check_another_place(
    podman_url: str, podman_image: str, tmp_path: Path, shared: Path
) -> None:
    """The link leads to the permitted folder of the node, in the container to one of the same name."""
    api = DockerApi(podman_url)
    program = Path("/bin/busybox").read_bytes()
    members = [
        (Member("bin", mode=0o755, is_folder=True), b""),
        (Member("bin/sh", len(program), 0o755), program),
        (Member("in", link=str(shared / "x")), b""),
    ]
    await api.import_image("bacalhau-test/link", "latest", join(members), ["ENV PATH=/bin"])
    await api.close()
    mounts = (held_mount(shared / "x", "/in", read_only=True),)
    with pytest.raises(EngineFailure, match="cannot be checked at /in of the container: ") as refused:
        await run(podman_url, shell(tmp_path, "bacalhau-test/link", "true", mounts=mounts))
    assert "symbolic link of the image" in refused.value.hint


@pytest.mark.parametrize("target", ["/x,source=/etc", '/x"', "/x\nsource=/etc"])
async def test_a_target_does_not_name_another_source(
    podman_url: str, podman_image: str, tmp_path: Path, target: str
) -> None:
    task = shell(tmp_path, podman_image, "true", mounts=(Mount(tmp_path, target, True),))
    with pytest.raises(EngineFailure, match="a comma, a quotation mark or a new line is in"):
        await run(podman_url, task)


async def end_by(url: str, task: EngineTask, how: str) -> Exit:
    """Run a task, and end it by a command as soon as it writes to its /shared/up."""
    os.mkfifo(task.mounts[0].host_path / "up")
    command = ["docker", "--host", url, *how.split(), container_name(task.execution_id)]

    async def end() -> None:
        await asyncio.to_thread((task.mounts[0].host_path / "up").read_text)
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)

    async with DockerEngine(url) as engine:
        found, _ = await together(engine.run(task, ignore), end())
    return found


async def test_a_container_that_somebody_removes_is_no_result(
    podman_url: str, podman_image: str, tmp_path: Path
) -> None:
    task = shell(tmp_path, podman_image, "echo > /shared/up; sleep 60", mounts=(Mount(tmp_path, "/shared", False),))
    with pytest.raises(EngineFailure, match=r"^the container was removed while it ran") as failure:
        await end_by(podman_url, task, "rm -f")
    assert failure.value.retryable


async def test_a_container_that_somebody_stops_has_the_exit_code_of_its_signal(
    podman_url: str, podman_image: str, tmp_path: Path
) -> None:
    task = shell(tmp_path, podman_image, "echo > /shared/up; sleep 60", mounts=(Mount(tmp_path, "/shared", False),))
    assert (await end_by(podman_url, task, "stop -t 1")).code == 137


async def test_a_container_over_its_memory_limit_is_killed(podman_url: str, podman_image: str, tmp_path: Path) -> None:
    """On control groups 1, Podman 4.3 does not tell why."""
    task = shell(tmp_path, podman_image, "tail /dev/zero", resources=Resources(memory=20_000_000))
    try:
        end, _ = await run(podman_url, task)
        assert end.code == 137
    except EngineFailure as e:
        assert e.message.startswith("memory limit exceeded")


async def test_a_runtime_that_podman_would_not_take_is_refused(podman_url: str) -> None:
    """It lists gVisor's among those that it knows, whether it is installed or not."""
    given = load_config(["Engines.Types.Docker.Runtime=runsc"], {}, {}).engines.types.docker
    async with DockerEngine(podman_url, isolation=read_isolation(given)) as engine:
        with pytest.raises(
            Unavailable, match=r"^Engines.Types.Docker.Runtime is runsc, which .* does not know"
        ) as told:
            await engine.check()
    assert "it knows runc; this is Podman, which takes its own runtime for all containers" in told.value.hint
