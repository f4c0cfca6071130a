"""Disks that fill up: one clear error, and all goes on when there is room again."""

import errno
import subprocess
from contextlib import contextmanager

import pytest

from bacalhau.lib.errors import Unavailable
from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import OUTPUTS, System, s3_input

SIZE = 12_000_000  # of the disk
LARGE = 6_000_000  # of the input


@contextmanager
def mounted(folder, size=SIZE):
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk") as folder:
        yield folder


def test_a_disk_that_fills_up_while_inputs_are_staged(
    docker_url, docker_image, containers, s3, bucket, tmp_path, small_disk
):
    s3.fill(bucket, {"large": b"x" * LARGE, "too-large": b"x" * (2 * SIZE), "small": b"fits"})
    with (
        Gate(s3.url) as gate,
        System(tmp_path / "system", docker_url, image=docker_image, split=True, node_dir=small_disk / "node") as system,
    ):

        def staging(key, **task):
            return system.submit("cat /inputs/* | wc -c", InputSources=[s3_input(gate.url, bucket, key)], **task)

        job = system.client.wait(staging("too-large"), 60)
        assert job.state.state_type == "Failed"
        assert job.state.message.startswith("no space left on the node: inputs need")

        held = gate.hold(f"GET /{bucket}/large")
        job_id = staging("large")
        held.until_reached()
        filler = small_disk / "filler"
        free = SIZE - sum(file.stat().st_size for file in small_disk.rglob("*") if file.is_file())
        with filler.open("wb") as file:
            file.write(bytes(free - LARGE // 2))
        held.open()
        job = system.client.wait(job_id, 60)
        assert job.state.state_type == "Failed"
        assert "no space left" in job.state.message.lower()
        assert containers.seen("create", job_id=job_id) == []

        filler.unlink()
        job = system.client.wait(staging("large", ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"}), 60)
        assert (job.state.state_type, system.output(job.id)) == ("Completed", f"{LARGE}\n")
        containers.until("destroy", job.id)


def fill(path):
    """All that the disk takes."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as e:
            assert e.errno == errno.ENOSPC


def test_a_disk_of_the_orchestrator_that_fills_up(docker_url, docker_image, containers, tmp_path):
    """Nothing new is taken in, and what runs meanwhile is not lost."""
    with (
        mounted(tmp_path / "system" / "orchestrator") as disk,
        System(tmp_path / "system", docker_url, image=docker_image, split=True) as system,
    ):
        job_id = system.submit(f"{HOLD}; echo still here")
        containers.until("start", job_id)
        fill(disk / "filler")
        with pytest.raises(Unavailable, match="disk"):
            for _ in range(1000):  # what the database still has room for
                system.submit("true")
        mark = len(system.orchestrator.lines)
        containers.let_go(job_id)
        system.orchestrator.until("RunResult of node", mark)
        assert system.client.get_job(job_id).state.state_type == "Running"
        (disk / "filler").unlink()
        assert system.client.wait(job_id, 60).state.state_type == "Completed"
        assert system.output(job_id) == "still here\n"
        for listed in system.client.list_jobs(limit=0).items:
            assert system.client.wait(listed.id, 60).state.state_type == "Completed"
        containers.until_none_is_left(system.node_id)
