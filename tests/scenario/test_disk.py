"""A node whose disk fills up: one clear error for the job, and the node goes on when there is room again."""

import subprocess

import pytest

from tests.support.gate import Gate
from tests.support.system import OUTPUTS, System, s3_input

SIZE = 12_000_000  # of the disk
LARGE = 6_000_000  # of the input


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_while_inputs_are_staged(docker_url, docker_image, containers, s3, bucket, tmp_path, small_disk):
    s3.fill(bucket, {"large": b"x" * LARGE, "too-large": b"x" * (2 * SIZE), "small": b"fits"})
    with Gate(s3.url) as gate, System(tmp_path / "system", docker_url, image=docker_image, split=True, node_dir=small_disk / "node") as system:

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
