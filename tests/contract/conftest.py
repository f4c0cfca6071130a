"""Fixtures that several suites of adapters share."""

import importlib
import logging
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from tests.support.answering import Server, listening
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, boto_client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server whose answers the test writes."""
    async with listening(Server()) as made:
        yield made


@pytest.fixture(scope="module")
def moto():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = importlib.import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto = boto_client(f"http://{host}:{port}")
    yield f"http://{host}:{port}", boto
    boto.close()
    server.stop()


@pytest.fixture(scope="module")
def rclone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rclone")
    (folder / "data" / "box").mkdir(parents=True)
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    command = [
        program,
        "serve",
        "s3",
        "--addr",
        "127.0.0.1:0",
        "--auth-key",
        f"{ACCESS_KEY},{SECRET_KEY}",
        "--config",
        "",
        folder / "data",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        address = next(line.split("http://")[1].split("/")[0] for line in child.stderr if "http://" in line)
        yield f"http://{address}", folder / "data" / "box"
        child.terminate()
        child.stderr.read()


@pytest.fixture
async def source() -> AsyncIterator[S3Source]:
    made = S3Source()
    yield made
    await made.close()


@pytest.fixture
async def publisher() -> AsyncIterator[S3Publisher]:
    made = S3Publisher()
    yield made
    await made.close()
