"""Four S3 servers of different makers, each with the same two keys; `store` runs a test on every one.

SeaweedFS is the fixture `s3`; moto, rclone and Ceph's gateway start when a test of a worker needs them first.
"""

import importlib
import json
import logging
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bacalhau.bus.child import dying_with_parent
from tests.support.ceph import ceph_gateway
from tests.support.ports import free_port
from tests.support.s3 import ACCESS_KEY, PUBLIC_BUCKET, S3, SECRET_KEY, boto_client
from tests.support.until import until

STORES = ("s3", "moto", "rclone", "ceph")
_SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> S3:
    """Each server in turn."""
    found: S3 = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def moto() -> Iterator[S3]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = importlib.import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield from _opened(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    folder, port = tmp_path_factory.mktemp("rclone"), free_port()
    keys = ("--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", "")
    with _running(folder, "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", *keys, str(folder / "data")):
        yield from _opened(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The bucket of the tutorial is there and public."""
    with ceph_gateway(tmp_path_factory.mktemp("ceph")) as url:
        boto = boto_client(url)
        made = S3(url, boto)
        made.fill_tutorial()
        place = f"arn:aws:s3:::{PUBLIC_BUCKET}"
        rule = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"]}
        rules = {"Version": "2012-10-17", "Statement": [rule | {"Resource": [place, f"{place}/*"]}]}
        boto.put_bucket_policy(Bucket=PUBLIC_BUCKET, Policy=json.dumps(rules))
        yield made
        boto.close()


def _opened(url: str) -> Iterator[S3]:
    boto = boto_client(url)
    yield S3(url, boto)
    boto.close()


@contextmanager
def _running(folder: Path, program: str, *arguments: str) -> Iterator[None]:
    """Keep a server running while the block runs, from the moment it says where."""
    (folder / "data").mkdir()
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [_SCRIPTS / program, *arguments], stdout=out, stderr=out, preexec_fn=dying_with_parent()
        ) as child,
    ):
        try:
            until(lambda: b"http://127.0.0.1:" in log.read_bytes() or child.poll() is not None, f"{program} serves")
            assert child.poll() is None, log.read_text(errors="replace")
            yield
        finally:
            child.kill()
