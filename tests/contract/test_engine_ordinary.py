"""Tasks of a node that is an ordinary user, whose containers run as root."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ordinary import USER


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the ordinary user, where that user can get to."""
    made = Path(tempfile.mkdtemp(dir="/tmp", prefix="bacalhau-ordinary-"))
    for path in (made, made / "out", made / "local"):
        path.mkdir(exist_ok=True)
        shutil.chown(path, USER, USER)
        path.chmod(0o777)
    yield made
    shutil.rmtree(made)


async def test_what_a_container_leaves_is_read_and_removed_by_a_node_that_is_not_root(
    docker_url: str, docker_image: str, folder: Path
) -> None:
    command = [sys.executable, "-m", "tests.support.ordinary", docker_url, docker_image, str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    zeros = "\0" * 10
    assert json.loads(done.stdout) == {
        "a/archive": zeros,
        "a/b/private": "private\n",
        "number": True,
        "open": "open\n",
    }
    assert not (folder / "out").exists() or not list((folder / "out").iterdir())
    private = folder / "local/private"
    assert (private.read_text(), private.stat().st_uid, private.stat().st_mode & 0o777) == ("kept\n", 0, 0o600)
