"""The limits of containers and the rules about images, as a real daemon and a real registry keep them."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from bacalhau.border.tar import Member, join
from bacalhau.config.load import load_config
from bacalhau.lib.aio import together
from bacalhau.lib.errors import EngineFailure, Unavailable
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import container_name
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.isolation import read_isolation
from bacalhau.plugins.docker.rules import read_rules
from bacalhau.ports.engine import EngineTask, Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import make_task, push_new, remove_image

OVERLAY = "bacalhau-test/overlay"
# The bits of CAP_ in <linux/capability.h>
CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP = 0, 1, 3, 4, 5, 6, 7, 8
NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP = 10, 13, 18, 27, 29, 31
KEPT = {CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP}


def engine_with(url: str, *settings: str) -> DockerEngine:
    given = load_config([f"Engines.Types.Docker.{text}" for text in settings], {}, {}).engines.types.docker
    return DockerEngine(url, rules=read_rules(given, is_own=True), isolation=read_isolation(given))


def shell(folder: Path, image: str, script: str, **changes: object) -> EngineTask:
    params = {"image": image, "entrypoint": ["sh", "-c"], "parameters": [script]}
    return make_task(folder, new_execution_id(), params, **changes)


async def printed(engine: DockerEngine, task: EngineTask) -> str:
    async with engine:
        await engine.run(task, ignore)
    return task.stdout.read_text()


def bits(text: str) -> dict[str, set[int]]:
    """Read `CapEff: 00000000a80425fb` lines as the numbers of what is set."""
    pairs = (line.split() for line in text.splitlines())
    return {name: {bit for bit in range(64) if int(mask, 16) >> bit & 1} for name, mask in pairs}


@pytest.mark.parametrize(
    ("settings", "capabilities"),
    [
        ((), KEPT),
        (("CapDrop=cap_net_raw,SYS_CHROOT",), KEPT - {SYS_CHROOT} | {MKNOD, AUDIT_WRITE}),
        (("CapDrop=ALL",), set()),
    ],
)
async def test_capabilities(
    engine_url: str, engine_image: str, tmp_path: Path, settings: tuple[str, ...], capabilities: set[int]
) -> None:
    task = shell(tmp_path, engine_image, "grep -e CapEff -e CapBnd /proc/self/status")
    found = bits(await printed(engine_with(engine_url, *settings), task))
    assert found == {"CapEff:": capabilities, "CapBnd:": capabilities}


async def test_open_files_and_processes_are_limited(docker_url: str, docker_image: str, tmp_path: Path) -> None:
    limits = "ulimit -Sn; ulimit -Hn; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null"
    settings = ("MaxOpenFiles=1000", "MaxProcesses=50")
    task = shell(tmp_path, docker_image, limits)
    assert (await printed(engine_with(docker_url, *settings), task)).split() == ["1000", "1000", "50"]


async def test_where_the_daemon_may_not_raise_the_limit_of_files_its_own_holds(
    engine_url: str, engine_image: str, tmp_path: Path
) -> None:
    engine, tasks = engine_with(engine_url, "MaxOpenFiles=2000000000"), []
    for _ in range(2):
        tasks.append(shell(tmp_path, engine_image, "ulimit -Hn"))
    async with engine:
        ends = await together(*(engine.run(task, ignore) for task in tasks))
    assert [end.code for end in ends] == [0, 0]
    assert all(0 < int(task.stdout.read_text()) < 2_000_000_000 for task in tasks)


async def test_process_1_reaps_what_a_task_leaves_behind(docker_url: str, docker_image: str, tmp_path: Path) -> None:
    script = "(true & echo $! > /tmp/p); read p < /tmp/p; while [ -e /proc/$p ]; do :; done; cat /proc/1/comm"
    async with asyncio.timeout(60):
        assert "init" in await printed(engine_with(docker_url), shell(tmp_path, docker_image, script))
    assert await printed(engine_with(docker_url, "Init=false"), shell(tmp_path, docker_image, "echo $$")) == "1\n"


async def test_an_image_whose_program_is_process_1_is_left_it(docker_url: str, tmp_path: Path) -> None:
    program, shell_code = Path("/bin/busybox").read_bytes(), b"#!/bin/sh\necho $$ $@\n"
    members = [
        (Member("bin/", is_folder=True), b""),
        (Member("bin/sh", len(program), 0o755), program),
        *((Member(name, len(shell_code), 0o755), shell_code) for name in ("init", "other")),
    ]
    api = DockerApi(docker_url)
    await api.import_image(OVERLAY, "latest", join(members), ['ENTRYPOINT ["/init"]', 'CMD ["image"]'])
    told = {
        "1 image\n": {},
        "1 job\n": {"parameters": ["job"]},
        "1 -- b\n": {"entrypoint": ["/init"], "parameters": ["--", "b"]},
    }
    for expected, params in told.items():
        task = make_task(tmp_path, new_execution_id(), {"image": OVERLAY, **params})
        assert await printed(engine_with(docker_url), task) == expected
    task = make_task(tmp_path, new_execution_id(), {"image": OVERLAY, "entrypoint": ["/other"]})
    assert await printed(engine_with(docker_url), task) != "1\n"
    await api.close()
    await asyncio.to_thread(remove_image, docker_url, OVERLAY)


async def test_a_task_without_handlers_ends_when_it_is_asked_to(
    docker_url: str, docker_image: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "up")
    mounts = (Mount(tmp_path, "/shared", False),)
    task = shell(tmp_path, docker_image, "echo > /shared/up; exec sleep 1000", mounts=mounts)

    async def stop(engine: DockerEngine) -> None:
        opened = await asyncio.to_thread((tmp_path / "up").read_text)
        assert opened == "\n"
        await engine.stop(task.execution_id, 60)

    async with engine_with(docker_url) as engine:
        end, _ = await together(engine.run(task, ignore), stop(engine))
    assert end.code == 128 + 15


async def test_a_read_only_root(engine_url: str, engine_image: str, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    script = "touch /etc/x 2>/dev/null || echo refused; echo 'echo ran' > /tmp/x; sh /tmp/x; echo kept > /outputs/x"
    task = shell(tmp_path, engine_image, script, mounts=(Mount(outputs, "/outputs", False),))
    assert await printed(engine_with(engine_url, "ReadonlyRootfs=true"), task) == "refused\nran\n"
    assert (outputs / "x").read_text() == "kept\n"


async def test_a_task_gets_the_memory_folders_and_limits_it_asks_for_and_they_count_as_its_memory(
    docker_url: str, docker_image: str, tmp_path: Path
) -> None:
    script = "df -k /dev/shm /scratch | awk '{print $2, $6}'; ulimit -n; stat -c %a /scratch"
    task = shell(tmp_path, docker_image, script)
    extras = {"ShmSize": "100Mi", "Tmpfs": ["/scratch:size=2Mi,mode=700"], "Ulimits": ["nofile=100:200"]}
    text = await printed(engine_with(docker_url, "MaxShmSize=100Mi"), task._replace(params=task.params | extras))
    assert text == "1K-blocks Mounted\n102400 /dev/shm\n2048 /scratch\n100\n700\n"
    filling = shell(
        tmp_path, docker_image, "head -c 80000000 /dev/zero > /dev/shm/x", resources=Resources(memory=32_000_000)
    )
    async with DockerEngine(docker_url) as engine:
        with pytest.raises(EngineFailure, match="memory limit exceeded"):
            await engine.run(filling._replace(params=filling.params | extras), ignore)
        with pytest.raises(EngineFailure, match="this node does not give ShmSize of 104"):
            async with engine_with(docker_url, "MaxShmSize=64Mi") as strict:
                await strict.run(task._replace(params=task.params | extras), ignore)


@pytest.mark.parametrize(("setting", "bit"), [("NoNewPrivileges=true", "1"), ("NoNewPrivileges=false", "0")])
async def test_set_user_id_programs_are_the_administrators_choice(
    engine_url: str, engine_image: str, tmp_path: Path, setting: str, bit: str
) -> None:
    task = shell(tmp_path, engine_image, "grep NoNewPrivs /proc/self/status")
    assert (await printed(engine_with(engine_url, setting), task)).split() == ["NoNewPrivs:", bit]


async def test_the_runtime_is_one_that_the_daemon_knows(engine_url: str, engine_image: str, tmp_path: Path) -> None:
    assert await printed(engine_with(engine_url, "Runtime=runc"), shell(tmp_path, engine_image, "echo ran")) == "ran\n"
    async with engine_with(engine_url, "Runtime=none-such") as engine:
        with pytest.raises(Unavailable, match=r"Engines.Types.Docker.Runtime is none-such") as caught:
            await engine.check()
    assert "it knows " in caught.value.hint
    assert "runc" in caught.value.hint


async def test_images_of_other_registries_are_not_pulled(
    docker_url: str, engine_url: str, registry: str, tmp_path: Path
) -> None:
    digest = push_new(docker_url, f"{registry}/team/allowed:1", 1000)
    async with engine_with(engine_url, f"AllowedRegistries={registry}/team/*") as engine:
        assert await engine.prepare({"Image": f"{registry}/team/allowed:1"}, ignore) == digest
        assert await engine.prepare({"Image": digest}, ignore) == digest
        for image in (f"{registry}/other/tool:1", "alpine", digest.replace("/team/", "/teams/")):
            with pytest.raises(EngineFailure, match="AllowedRegistries allows") as caught:
                await engine.prepare({"Image": image}, ignore)
            assert caught.value.retryable
            with pytest.raises(EngineFailure, match="AllowedRegistries allows"):
                await engine.run(make_task(tmp_path, new_execution_id(), {"Image": image}, image=digest), ignore)


async def test_an_id_does_not_lead_to_an_image_of_another_registry(docker_url: str, docker_image: str) -> None:
    async with DockerEngine(docker_url) as engine:
        found = await engine.prepare({"Image": docker_image}, ignore)
        short = found.removeprefix("sha256:")[:12]
        assert await engine.prepare({"Image": found}, ignore) == found
    async with engine_with(docker_url, "AllowedRegistries=docker.io/library/*") as engine:
        for image in (found, short):
            with pytest.raises(EngineFailure, match="only by its id"):
                await engine.prepare({"Image": image}, ignore)


async def test_a_container_that_newer_settings_refuse_is_taken_away(
    engine_url: str, engine_image: str, tmp_path: Path
) -> None:
    task = shell(tmp_path, engine_image, "sleep 1000", network=NetworkConfig(type="Host"))
    name = container_name(task.execution_id)
    docker = ["docker", "--host", engine_url]
    start = [*docker, "run", "--detach", "--name", name, engine_image, "sleep", "1000"]
    await asyncio.to_thread(subprocess.run, start, check=True, capture_output=True)
    async with engine_with(engine_url, "Networks=None,Bridge") as engine:
        with pytest.raises(EngineFailure, match="this node does not give network Host: "):
            await engine.run(task, ignore)
    api = DockerApi(engine_url)
    assert await api.inspect(name) is None
    await api.close()
