"""A compute node on its own: it dials out and opens no port but that of its own health, its results live with the
orchestrator, its id is its own.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.containers import HOLD
from tests.support.s3 import PUBLIC_BUCKET, TUTORIAL_PREFIX
from tests.support.system import OUTPUTS, new_node_name, s3_input

SECOND = new_node_name()
LISTEN = "0A"


@pytest.fixture(scope="module")
def split(start_system):
    return start_system(split=True)


def listening_sockets(pid):
    """Addresses of TCP sockets on which a process listens, from the kernel's own tables."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    tables = (Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    rows = (line.split() for table in tables for line in table)
    return [row[1] for row in rows if row[3] == LISTEN and row[9] in inodes]


def test_the_node_listens_for_its_own_health_alone(split):
    assert listening_sockets(split.orchestrator.child.pid)
    (socket,) = listening_sockets(split.node.child.pid)
    address, port = socket.split(":")
    assert address == "0100007F"
    assert split.cli("agent", "alive", "--api-port", int(port, 16)).stdout == "Status: OK\n"


def test_s3_in_ipfs_out_through_the_bus_and_the_results_survive_the_node(split, s3, containers, tmp_path):
    source = s3_input(s3.url, PUBLIC_BUCKET, f"{TUTORIAL_PREFIX}M3C01*")
    script = "cat /inputs/* > /outputs/all; head -c 3000000 /dev/urandom > /outputs/large; md5sum < /outputs/large"
    job = split.run(script, InputSources=[source], ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"})
    assert (job.state.state_type, job.state.message) == ("Completed", "")
    containers.until("destroy", job.id)
    split.node.kill()
    shutil.rmtree(split.node_dir / "compute")
    split.cli("get", job.id, "--output-dir", ".", cwd=tmp_path)
    split.start()
    assert (tmp_path / "outputs" / "all").read_bytes() == b"".join(bytes([i]) * 1000 for i in range(20))
    assert (tmp_path / "outputs" / "large").stat().st_size == 3_000_000
    assert len(split.client.executions(job.id)) == 1


def test_results_are_inputs_of_the_next_job(split, tmp_path):
    first = split.run("echo first > /outputs/f", ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"})
    (result,) = split.client.results(first.id)
    source = {"Source": {"Type": "ipfs", "Params": {"CID": result.params["CID"]}}, "Target": "/in"}
    second = split.run("cat /in/outputs/f", InputSources=[source])
    assert (second.state.state_type, split.output(second.id)) == ("Completed", "first\n")


def test_logs_come_through_the_bus(split, containers):
    job_id = split.submit(f"echo early; {HOLD}")
    logs = split.client.logs(job_id, follow=True)
    assert next(logs) == (1, "early\n")
    containers.let_go(job_id)
    assert list(logs) == []
    assert split.client.wait(job_id, 30).state.state_type == "Completed"


def test_nobody_takes_the_id_of_another_node(split):
    thief = split.add_node(split.folder / "thief", "--name", split.node_id)
    thief.start()
    try:
        line = thief.until("refuses node", 0)
        assert split.node_id in line or "uthorization" in line
    finally:
        assert thief.stop() == 0
    (node,) = [n for n in split.client.nodes() if n.info.node_type == "Compute"]
    assert (node.info.node_id, node.connection) == (split.node_id, "CONNECTED")
    assert split.run("echo still mine").state.state_type == "Completed"


def test_the_orchestrators_own_entry_stays_connected(split):
    (own,) = [n for n in split.client.nodes() if n.info.node_type == "Requester"]
    assert own.connection == "CONNECTED"
    assert "no heartbeat" not in "".join(split.orchestrator.lines)


def test_a_second_node_takes_its_part(split, containers):
    second = split.add_node(split.folder / "second", "--name", SECOND)
    mark = len(split.orchestrator.lines)
    second.start()
    try:
        split.orchestrator.until(f"node {SECOND} joined", mark)
        job_id = split.submit(HOLD, job={"Count": 2})
        containers.until("start", job_id, 2)
        nodes = {h.node_id for h in containers.seen("start", job_id=job_id)}
        assert nodes == {split.node_id, SECOND}
        containers.let_all_go(job_id)
        assert split.client.wait(job_id, 60).state.state_type == "Completed"
        assert SECOND in split.cli("node", "list").stdout
    finally:
        assert second.stop() == 0
    split.orchestrator.until(f"node {SECOND} left", mark)
    assert split.run("true").state.state_type == "Completed"
