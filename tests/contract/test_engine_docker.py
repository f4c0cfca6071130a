"""What only a container engine can do: images, mounts, limits, networks; on a real daemon and real registries."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bacalhau.border.places import hold_place
from bacalhau.border.printed import missing_text
from bacalhau.lib.aio import together
from bacalhau.lib.errors import BacalhauError, EngineFailure, Unavailable
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.resources import Resources
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import Surroundings, container_config, container_name
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.isolation import USUAL
from bacalhau.plugins.docker.params import DockerParams
from bacalhau.ports.engine import EngineTask, Exit, Mount, Prepares, Sweeps
from bacalhau.ports.progress import Step, ignore
from tests.support.docker import make_task, push, push_new, remove_image

MB = 1_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def run(url: str, task: EngineTask) -> tuple[Exit, str]:
    async with DockerEngine(url) as engine:
        end = await engine.run(task, ignore)
    return end, task.stdout.read_text()


def shell(folder: Path, image: str, script: str, params: dict[str, Any] | None = None, **changes: object) -> EngineTask:
    return make_task(
        folder,
        new_execution_id(),
        {"image": image, "entrypoint": ["sh", "-c"], "parameters": [script], **(params or {})},
        **changes,
    )


async def test_every_byte_of_both_streams_arrives(engine_url: str, engine_image: str, folder: Path) -> None:
    task = shell(folder, engine_image, "head -c 5000000 /dev/zero; printf '\\377end'; echo problem >&2")
    async with DockerEngine(engine_url) as engine:
        assert (await engine.run(task, ignore)).code == 0
    assert task.stdout.read_bytes() == bytes(5_000_000) + b"\xffend"
    assert task.stderr.read_bytes() == b"problem\n"


async def test_of_endless_output_beginning_and_end_are_kept_on_both_disks(
    engine_url: str, engine_image: str, folder: Path
) -> None:
    task = shell(folder, engine_image, "seq 1 200000; seq 1 200000 >&2", output_limit=100_000)
    whole = "".join(f"{n}\n" for n in range(1, 200_001)).encode()
    async with DockerEngine(engine_url) as engine:
        assert (await engine.run(task, ignore)).code == 0
    missing = missing_text(len(whole) - 100_000).encode()
    for path in (task.stdout, task.stderr):
        assert path.read_bytes() == whole[:50_000] + missing + whole[-50_000:]
    assert [path.name for path in folder.iterdir() if "std" in path.name and path.name.startswith(".")] == []


async def test_output_can_be_read_while_the_task_runs(engine_url: str, engine_image: str, folder: Path) -> None:
    task = shell(folder, engine_image, "echo first; cat /shared/gate", mounts=(Mount(folder, "/shared", False),))
    (folder / "gate").write_text("second\n")
    end, text = await run(engine_url, task)
    assert (end.code, text) == (0, "first\nsecond\n")


async def test_engine_variables_win_over_those_of_the_task(engine_url: str, engine_image: str, folder: Path) -> None:
    params = {"EnvironmentVariables": ["A=engine", "EMPTY="]}
    task = shell(folder, engine_image, 'echo "$A $B [$EMPTY]"', params, env={"A": "task", "B": "task"})
    assert (await run(engine_url, task))[1] == "engine task []\n"


async def test_working_directory(engine_url: str, engine_image: str, folder: Path) -> None:
    assert (await run(engine_url, shell(folder, engine_image, "pwd", {"WorkingDirectory": "/made/for/it"})))[
        1
    ] == "/made/for/it\n"


async def test_mounts_keep_their_mode(engine_url: str, engine_image: str, folder: Path) -> None:
    source, target = folder / "in:put", folder / "out"
    source.mkdir()
    target.mkdir()
    (source / "a").write_text("data")
    mounts = (
        Mount(source, "/deep/inputs", True),
        Mount(target, "/outputs", False),
        Mount(source / "a", "/single/file", True),
    )
    task = shell(
        folder,
        engine_image,
        "cp /deep/inputs/a /outputs/b; cat /single/file; touch /deep/inputs/x || echo refused",
        mounts=mounts,
    )
    end, text = await run(engine_url, task)
    assert (end.code, text) == (0, "datarefused\n")
    assert (target / "b").read_text() == "data"


def held_mount(path: Path, target: str, read_only: bool) -> Mount:
    held = hold_place(str(path))
    return Mount(held.path, target, read_only, held)


@pytest.fixture
def shared(folder: Path) -> Path:
    """A folder that jobs may change, beside one that they may not see."""
    for name in ("data/x", "secret"):
        (folder / name).mkdir(parents=True)
        (folder / name / "who").write_text(name)
    return folder / "data"


def replace_by_a_link(path: Path, to: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(to)


@pytest.mark.parametrize(("read_only", "says"), [(True, "data/x refused\n"), (False, "data/x\n")])
async def test_what_was_permitted_is_mounted_though_its_path_leads_elsewhere(
    docker_url: str, docker_image: str, folder: Path, shared: Path, read_only: bool, says: str
) -> None:
    task = shell(
        folder,
        docker_image,
        "cat /in/who; touch /in/new || echo ' refused'",
        mounts=(held_mount(shared / "x", "/in", read_only),),
    )
    replace_by_a_link(shared / "x", folder / "secret")
    _, text = await run(docker_url, task)
    assert text.strip() == says.strip()
    assert os.listdir(folder / "secret") == ["who"]
    assert (shared / "moved/new").exists() is not read_only
    assert str(task.mounts[0].host_path) not in volume_options(docker_url)


def volume_options(url: str) -> str:
    docker = ["docker", "--host", url, "volume"]
    names = subprocess.run([*docker, "ls", "--quiet"], check=True, capture_output=True, text=True).stdout.split()
    shown = subprocess.run([*docker, "inspect", "--format", "{{.Options}}", *names], capture_output=True, text=True)
    return shown.stdout


async def test_a_container_that_a_dead_process_made_and_did_not_start_is_made_again(
    docker_url: str, docker_image: str, folder: Path, shared: Path
) -> None:
    """What it would mount is a descriptor of that process, whose number may be another's by now."""
    mount = held_mount(shared / "x", "/in", True)
    task = shell(folder, docker_image, "cat /in/who", mounts=(mount,))
    wrong = task._replace(mounts=(mount._replace(host_path=Path("/proc/1/root")),))
    params = DockerParams(image=docker_image)
    api = DockerApi(docker_url)
    await api.create(container_name(task.execution_id), container_config(wrong, params, docker_image, Surroundings()))
    await api.close()
    assert (await run(docker_url, task))[1] == "data/x"


async def test_what_the_daemon_cannot_hold_is_refused_by_its_name(
    docker_url: str, docker_image: str, folder: Path, shared: Path
) -> None:
    task = shell(folder, docker_image, "cat /in", mounts=(held_mount(shared / "x/who", "/in", True),))
    with pytest.raises(EngineFailure, match=f"^volume {shared}/x/who cannot be mounted safely: .* not a single file"):
        await run(docker_url, task)
    gone = task._replace(mounts=(held_mount(shared / "x", "/in", True)._replace(host_path=Path("/proc/0/fd/7")),))
    with pytest.raises(EngineFailure, match=f"{shared}/x") as failed:
        await run(docker_url, gone)
    assert "/proc/0" not in failed.value.message and "mount namespace" in failed.value.hint


async def test_a_container_over_its_memory_limit_fails_for_that_reason(
    docker_url: str, docker_image: str, folder: Path
) -> None:
    task = shell(folder, docker_image, "tail /dev/zero", resources=Resources(memory=20 * MB))
    with pytest.raises(EngineFailure, match=r"^memory limit exceeded: the task was killed at its limit of 20.0 MB"):
        await run(docker_url, task)


@pytest.mark.parametrize(
    ("how", "reason"), [("rm -f", "removed while it ran"), ("stop -t 1", "stopped by somebody else")]
)
async def test_a_container_that_somebody_ends_is_no_result(
    docker_url: str, docker_image: str, folder: Path, how: str, reason: str
) -> None:
    os.mkfifo(folder / "up")
    task = shell(folder, docker_image, "echo > /shared/up; sleep 60", mounts=(Mount(folder, "/shared", False),))
    command = ["docker", "--host", docker_url, *how.split(), container_name(task.execution_id)]

    async def end() -> None:
        await asyncio.to_thread((folder / "up").read_text)
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)

    async with DockerEngine(docker_url) as engine:
        with pytest.raises(EngineFailure, match=f"^the container was {reason}") as failure:
            await together(engine.run(task, ignore), end())
    assert failure.value.retryable


async def test_cpu_and_memory_are_limited(engine_url: str, engine_image: str, folder: Path) -> None:
    script = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /proc/1/status |"
        " grep NoNewPrivs"
    )
    task = shell(folder, engine_image, script, resources=Resources(cpu=0.001, memory=64 * 1024 * 1024))
    end, text = await run(engine_url, task)
    assert end.code == 0
    assert text.split() == [str(64 * 1024 * 1024), "NoNewPrivs:", "1"]


@pytest.mark.parametrize(("network", "interfaces"), [("None", 1), ("Default", 2), ("Bridge", 2)])
async def test_networks(engine_url: str, engine_image: str, folder: Path, network: str, interfaces: int) -> None:
    task = shell(
        folder,
        engine_image,
        "ls /sys/class/net | grep -c -e lo -e eth; grep -c host.docker.internal /etc/hosts",
        network=NetworkConfig(type=network),
    )
    assert (await run(engine_url, task))[1].split() == [str(interfaces), str(int(interfaces == 2))]


async def test_host_network_is_the_hosts(engine_url: str, engine_image: str, folder: Path) -> None:
    task = shell(
        folder,
        engine_image,
        "readlink /proc/self/ns/net || ls -l /proc/self/ns/net",
        network=NetworkConfig(type="full"),
    )
    assert Path("/proc/self/ns/net").readlink().name in (await run(engine_url, task))[1]


async def test_a_published_port_is_reached_from_outside(engine_url: str, engine_image: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    network = NetworkConfig(type="Bridge", ports=(PortMapping(name="web", static=port, target=80),))
    task = shell(folder, engine_image, "echo hello | nc -l -p 80", network=network)

    async def knock() -> bytes:
        answer = b""
        while not answer:
            with contextlib.suppress(ConnectionError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with contextlib.closing(writer):
                    answer = await reader.read()
        return answer

    low = replace(USUAL, max_open_files=0)  # a start that fails for it leaves Podman on the port for a while
    async with DockerEngine(engine_url, isolation=low) as engine, asyncio.timeout(30):
        end, answer = await together(engine.run(task, ignore), knock())
    assert (end.code, answer) == (0, b"hello\n")


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        ({"parameters": ["nonexistent"]}, 'failed to start container: executable file not found: exec: "nonexistent"'),
        ({"entrypoint": ["/no/such"]}, 'failed to start container: executable file not found: exec: "/no/such"'),
    ],
)
async def test_a_task_that_cannot_start_says_why_and_leaves_nothing(
    engine_url: str, engine_image: str, folder: Path, params: dict[str, Any], cause: str
) -> None:
    with pytest.raises(EngineFailure) as caught:
        await run(
            engine_url,
            make_task(folder, new_execution_id(), {"image": engine_image, **params}, node_id="n-cannot-start"),
        )
    assert caught.value.message.startswith(cause)
    assert not caught.value.retryable
    api = DockerApi(engine_url)
    assert await api.list_by_label("bacalhau-executor=n-cannot-start") == []
    await api.close()


async def test_a_missing_mount_source_is_named(engine_url: str, engine_image: str, folder: Path) -> None:
    with pytest.raises(EngineFailure, match=r"/not/here"):
        await run(engine_url, shell(folder, engine_image, "true", mounts=(Mount(Path("/not/here"), "/x", True),)))


async def test_no_daemon_is_unavailable_with_its_address(folder: Path) -> None:
    async with DockerEngine(f"unix://{folder}/none.sock") as engine:
        assert isinstance(engine, Prepares)
        assert isinstance(engine, Sweeps)
        with pytest.raises(
            Unavailable, match=rf"cannot reach the Docker API at unix://{folder}/none.sock: No such file"
        ) as caught:
            await engine.check()
        assert "DOCKER_HOST" in caught.value.hint
        with pytest.raises(Unavailable):
            await engine.run(shell(folder, "any", "true"), ignore)
        with pytest.raises(Unavailable):
            await engine.stop("e-1", 0)


async def test_a_local_image_is_pinned_by_its_id(engine_url: str, engine_image: str) -> None:
    async with DockerEngine(engine_url) as engine:
        pinned = await engine.prepare({"Image": engine_image}, ignore)
        assert "sha256:" in pinned
        assert await engine.prepare({"Image": engine_image}, ignore) == pinned


async def test_an_image_is_pulled_once_for_all_and_pinned_by_digest(docker_url: str, registry: str) -> None:
    name = f"{registry}/team/tool:1"
    digest = push_new(docker_url, name, 3 * MB)
    heard: list[list[Step]] = [[], [], []]
    async with DockerEngine(docker_url) as engine:
        pinned = await together(*(engine.prepare({"Image": name}, steps.append) for steps in heard))
    assert pinned == [digest] * 3
    last = {steps[-1] for steps in heard}
    assert len(last) == 1
    step = last.pop()
    assert (step.stage, step.done, step.total) == ("pulling", 1, 1)
    assert step.bytes_done == step.bytes_total >= 3 * MB


async def test_what_ran_is_told_by_digest(
    docker_url: str, docker_image: str, engine_url: str, registry: str, folder: Path
) -> None:
    name = f"{registry}/team/shell:1"
    digest = push(docker_url, docker_image, name)
    assert digest.startswith(f"{registry}/team/shell@sha256:")
    assert await run(engine_url, shell(folder, name, "echo ran")) == (Exit(0, digest), "ran\n")


async def failure_of(url: str, image: str) -> BacalhauError:
    async with DockerEngine(url) as engine:
        with pytest.raises(BacalhauError) as caught:
            await engine.prepare({"Image": image}, ignore)
    return caught.value


async def test_an_image_the_registry_does_not_have(engine_url: str, registry: str) -> None:
    failure = await failure_of(engine_url, f"{registry}/no-such-image:1")
    assert isinstance(failure, EngineFailure)
    asked = f"registry {registry} was asked anonymously"
    assert failure.message == f"image not available: {registry}/no-such-image:1 was not found ({asked})"
    assert not failure.retryable


def log_in(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def auth(host: str, login: str) -> dict[str, Any]:
    return {"auths": {host: {"auth": base64.b64encode(login.encode()).decode()}}}


async def test_a_registry_that_wants_a_password(
    docker_url: str,
    docker_image: str,
    engine_url: str,
    locked_registry: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    name = f"{locked_registry}/private:1"
    log_in(folder, auth(locked_registry, "user:secret"))
    digest = push(docker_url, docker_image, name, folder)

    async def refused() -> str:
        failure = await failure_of(engine_url, name)
        assert isinstance(failure, EngineFailure) and not failure.retryable
        assert f"docker login {locked_registry}" in failure.hint
        return failure.message

    log_in(folder, {})
    end = f"refused access to image {name}"
    asked, _, words = (await refused()).partition(f", {end}: ")
    assert asked == f"registry {locked_registry}, which was asked anonymously"
    assert words in ("no basic auth credentials", "authentication required")  # Docker's and Podman's
    log_in(folder, auth(locked_registry, "user:wrong"))
    assert (await refused()).startswith(
        f"registry {locked_registry}, which was asked as user user from {folder}/config.json, {end}: "
    )
    log_in(folder, auth(locked_registry, "user:secret"))
    async with DockerEngine(engine_url) as engine:
        assert await engine.prepare({"Image": name}, ignore) == digest
    remove_image(engine_url, name)


async def test_a_helper_program_knows_the_password(
    docker_url: str,
    docker_image: str,
    engine_url: str,
    locked_registry: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    program = folder / "docker-credential-test"
    program.write_text(
        f"#!/bin/sh\nread asked\n[ $asked = {locked_registry} ] || {{ echo credentials not found; exit 1; }}\n"
        'echo \'{"ServerURL":"","Username":"user","Secret":"secret"}\'\n'
    )
    program.chmod(0o755)
    log_in(folder, {"credsStore": "test"})
    digest = push(docker_url, docker_image, f"{locked_registry}/helped:1", folder)
    async with DockerEngine(engine_url) as engine:
        assert await engine.prepare({"Image": f"{locked_registry}/helped:1"}, ignore) == digest
    remove_image(engine_url, f"{locked_registry}/helped:1")


@pytest.mark.parametrize("image", ["alpine", "library/alpine:3", "docker.io/library/alpine"])
async def test_an_official_image_is_asked_for_by_the_credentials_of_docker_hub(
    engine_url: str, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    """The registry may be out of reach; the daemon took the request."""
    monkeypatch.setenv("DOCKER_USERNAME", "nobody")
    monkeypatch.setenv("DOCKER_PASSWORD", "hunter2")
    failure = await failure_of(engine_url, f"{image.partition(':')[0]}:no-such-tag")
    assert "cannot be read" not in failure.message
    assert "registry docker.io" in failure.message


async def test_a_registry_that_cannot_be_reached(engine_url: str) -> None:
    failure = await failure_of(engine_url, "127.0.0.1:9/tool:1")
    assert isinstance(failure, Unavailable)
    assert failure.message == "cannot reach registry 127.0.0.1:9: connection refused"
    assert failure.retryable


async def test_pulls_can_be_forbidden(engine_url: str, registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIP_IMAGE_PULL", "1")
    failure = await failure_of(engine_url, f"{registry}/other:1")
    assert failure.message == f"image not available: {registry}/other:1 was not found"
    assert "SKIP_IMAGE_PULL" in failure.hint
