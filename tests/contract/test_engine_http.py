"""Network HTTP on a real daemon: a task reaches the domains of its job by the proxy, and nothing by any other way."""

import asyncio
import json
import os
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from bacalhau.lib.aio import crew, together
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.job.network import NetworkConfig
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.ports.engine import Mount
from bacalhau.ports.progress import ignore
from tests.support.docker import NODE_ID, make_task


def docker(url, *args):
    return subprocess.run(["docker", "--host", url, *args], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def outside(docker_url):
    """The host's address on the ordinary bridge: to a container it is somewhere else."""
    bridge = json.loads(docker(docker_url, "network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
    # A daemon that has just made its bridge names the subnet alone; the host has its first address.
    return bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))


@pytest.fixture
async def site(outside):
    """host:port of a web server that repeats the path and names who asked."""

    async def answer(request):
        return web.Response(
            text=(
                f"{request.method} {request.path_qs} for {request.headers.get('X-Bacalhau-Job-ID', 'nobody')}"
                f" {await request.text()}\n"
            )
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, outside, 0).start()
    yield f"{outside}:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def engine(docker_url):
    async with DockerEngine(docker_url) as made:
        yield made
    assert f"bacalhau-http-{NODE_ID}" not in docker(docker_url, "network", "ls", "--format", "{{.Name}}").split()


async def run(engine, image, folder: Path, script, *domains):
    params = {"image": image, "entrypoint": ["sh", "-c"], "parameters": [script]}
    task = make_task(folder, new_execution_id(), params, network=NetworkConfig(type="HTTP", domains=domains))
    end = await engine.run(task, ignore)
    return end.code, task.stdout.read_text()


async def test_the_domains_of_the_job_are_reached(engine, docker_image, tmp_path, site, outside):
    assert await run(engine, docker_image, tmp_path, f"wget -q -O - 'http://{site}/a?b=c'", outside) == (
        0,
        "GET /a?b=c for j-contract \n",
    )
    code, text = await run(
        engine, docker_image, tmp_path, f"wget -q -O - --post-data 'some text' http://{site}/p", outside
    )
    assert (code, text.partition(" ")[2]) == (0, "/p for j-contract some text\n")


async def test_a_tunnel_carries_bytes_both_ways(engine, docker_image, tmp_path, outside):
    async def reverse(reader, writer):
        writer.write((await reader.read())[::-1])
        writer.close()

    async with await asyncio.start_server(reverse, outside, 0) as server:
        port = server.sockets[0].getsockname()[1]
        script = (
            f"p=${{https_proxy#http://}}; printf 'CONNECT {outside}:{port} HTTP/1.1\\r\\n\\r\\nabc' | busybox nc"
            " ${p%:*} ${p#*:}"
        )
        assert await run(engine, docker_image, tmp_path, script, outside) == (
            0,
            "HTTP/1.1 200 Connection established\n\ncba",
        )


async def test_other_hosts_are_refused_by_name(engine, docker_image, tmp_path, site, outside):
    ask = "p=${http_proxy#http://}; printf 'GET http://%s/ HTTP/1.0\\r\\n\\r\\n' | busybox nc ${p%%:*} ${p#*:}"
    code, text = await run(engine, docker_image, tmp_path, ask % site, "example.org")
    assert (code, text.splitlines()[0]) == (0, "HTTP/1.1 403 Forbidden")
    assert text.endswith(f"{outside} is not among the domains of this job: example.org\n")
    code, text = await run(engine, docker_image, tmp_path, ask % "localhost:1", "localhost")
    assert "localhost may not be reached: " in text and text.endswith("is denied on this node\n")
    code, text = await run(engine, docker_image, tmp_path, ask % f"{outside}:1", outside)
    assert text.splitlines()[0] == "HTTP/1.1 502 Bad Gateway"


async def test_there_is_no_way_round_the_proxy(engine, docker_url, docker_image, tmp_path):
    """What a task of network Bridge reaches directly, one of network HTTP does not."""
    container = docker(
        docker_url,
        "run",
        "-d",
        "--rm",
        docker_image,
        "sh",
        "-c",
        "echo hello > /index.html; busybox httpd -f -p 80 -h /",
    ).strip()
    try:
        (found,) = json.loads(docker(docker_url, "inspect", container))
        script = (
            f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 {found['NetworkSettings']['IPAddress']} 80 | tail"
            " -1; cat /etc/resolv.conf"
        )
        bridge = make_task(
            tmp_path,
            new_execution_id(),
            {"image": docker_image, "parameters": ["sh", "-c", script]},
            network=NetworkConfig(type="Bridge"),
        )
        await engine.run(bridge, ignore)
        assert bridge.stdout.read_text().startswith("hello\n")
        _, text = await run(engine, docker_image, tmp_path, script, "example.org")
        assert "hello" not in text
        assert [line.split()[1] for line in text.splitlines() if line.startswith("nameserver")] == ["127.0.0.11"]
    finally:
        docker(docker_url, "kill", container)


async def test_each_task_has_its_own_domains(engine, docker_image, tmp_path, site, outside):
    fetch = f"wget -q -O - http://{site}/x"
    ends = await together(
        run(engine, docker_image, tmp_path, fetch, outside), run(engine, docker_image, tmp_path, fetch, "example.org")
    )
    assert [code for code, _ in ends] == [0, 1]


async def test_a_task_that_outlives_the_node_finds_its_proxy_again(docker_url, docker_image, tmp_path, site, outside):
    for name in ("up", "go"):
        os.mkfifo(tmp_path / name)
    params = {
        "image": docker_image,
        "parameters": ["sh", "-c", f"echo up > /shared/up; cat /shared/go; wget -q -O - http://{site}/later"],
    }
    network = NetworkConfig(type="HTTP", domains=(outside,))
    task = make_task(tmp_path, new_execution_id(), params, network=network, mounts=(Mount(tmp_path, "/shared", False),))
    async with DockerEngine(docker_url) as first, crew() as people:
        people.start(first.run(task, ignore))
        assert await asyncio.to_thread((tmp_path / "up").read_text) == "up\n"
        people.cancel()
    async with DockerEngine(docker_url) as second, crew() as people:
        end = people.start(second.run(task, ignore))
        # The second run has the proxy up before it asks for the container.
        await second._egress.open(NODE_ID)
        await asyncio.to_thread((tmp_path / "go").write_text, "")
        assert (await end).code == 0
    assert task.stdout.read_text() == "GET /later for j-contract \n"
