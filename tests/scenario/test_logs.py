"""What jobs print: every line once, whoever is killed meanwhile, also when the node is gone for good, and within a
quota.
"""

import re
import shutil
import threading
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.support.containers import HOLD
from tests.support.system import System, new_node_name

SECOND = new_node_name()
LONG = "seq 1 20000"  # 108 kB: more than the record of an execution holds
LONG_TEXT = "".join(f"{i}\n" for i in range(1, 20001))


@pytest.fixture(scope="module")
def split(start_system):
    return start_system(split=True)


def peak_memory(pid):
    """Bytes."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1000


@pytest.mark.parametrize("victim", ["node", "orchestrator", "messages"])
def test_a_follower_gets_every_line_once_whoever_is_killed(victim, split, containers):
    job_id = split.submit(f"echo €1; echo w1 >&2; {HOLD}; echo €2; {HOLD}; {LONG}; echo w2 >&2")
    with (
        split.following("logs", "--follow", job_id, seconds=90) as following,
        split.following("job", "logs", "-f", job_id, seconds=90) as second,
    ):
        assert following.stdout.readline() == "€1\n"
        assert second.stdout.readline() in ("€1\n", "w1\n")
        mark = len(split.orchestrator.lines)
        if victim == "messages":
            split.kill_messages()
            split.until_joined(mark)
        else:
            {"node": split.node, "orchestrator": split.orchestrator}[victim].kill()
            containers.let_go(job_id)
            split.start()
        if victim == "messages":
            containers.let_go(job_id)
        assert following.stdout.readline() == "€2\n"
        containers.let_go(job_id)
        assert following.stdout.read() == LONG_TEXT
        assert following.wait(30) == 0
        both = second.stdout.read()
        assert second.wait(30) == 0
    assert both.count("w2\n") == both.count("€2\n") == 1
    stdout = both.replace("w2\n", "")  # it may come in the middle of a line of the other stream
    assert [line for line in stdout.splitlines() if line.isdigit()] == LONG_TEXT.split()
    assert split.cli("logs", job_id).stdout == f"€1\n€2\n{LONG_TEXT}"
    assert split.cli("logs", job_id).stderr == "w1\nw2\n"


def assert_all_told(whole, text):
    """The pieces of `whole` that `text` still has, which tells of the bytes missing between them; several gaps, where a
    node and the orchestrator both had to drop some.
    """
    pieces = re.split(r"\n\[(\d+) bytes of output are missing here[^]]*\]\n", text)
    place = 0
    for kept, missing in zip_longest(pieces[::2], pieces[1::2], fillvalue="0"):
        assert whole.startswith(kept, place)
        place += len(kept) + int(missing)
    assert place == len(whole)
    return pieces[::2]


def test_a_log_beyond_its_quota_keeps_beginning_and_end(docker_url, docker_image, containers, tmp_path):
    settings = {"Orchestrator.Logs.MaxPerExecution": "200kb"}
    with System(tmp_path / "system", docker_url, image=docker_image, settings=settings) as system:
        job_id = system.submit("seq 1 300000; echo the end")
        whole = "".join(f"{i}\n" for i in range(1, 300001)) + "the end\n"
        assert_all_told(whole, "".join(text for _, text in system.client.logs(job_id, follow=True)))
        pieces = assert_all_told(whole, "".join(text for _, text in system.client.logs(job_id)))
        assert len(pieces) > 1 and len(pieces[0]) >= 80_000 and sum(map(len, pieces[1:])) >= 70_000
        assert sum(f.stat().st_size for f in (system.dir / "orchestrator" / "logs").rglob("*.log")) <= 200_000


def test_streams_that_take_turns_are_told_in_the_order_in_which_they_came(split):
    turns = "for i in 1 2 3; do echo o$i; sleep 0.2; echo e$i >&2; sleep 0.2; done"
    job_id = split.submit(turns)
    expected = [(stream, f"{name}{i}\n") for i in (1, 2, 3) for stream, name in ((1, "o"), (2, "e"))]
    assert list(split.client.logs(job_id, follow=True)) == expected
    assert list(split.client.logs(job_id)) == expected
    assert split.cli("job", "logs", job_id).stdout == "".join(text for _, text in expected)


def test_a_hundred_megabytes_take_little_memory(split):
    split.run("true")
    pids = [split.orchestrator.child.pid, split.node.child.pid]
    before = [peak_memory(pid) for pid in pids]
    job_id = split.submit("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo the end")
    sizes = []

    def follow():
        sizes.append(sum(len(text) for _, text in split.client.logs(job_id, follow=True)))

    reader = threading.Thread(target=follow)
    reader.start()
    reader.join(120)
    assert 30_000_000 < sizes[0] <= 100_000_009
    assert [text for _, text in split.client.logs(job_id, tail_lines=1)] == ["the end\n"]
    assert all(peak_memory(pid) - start < 100_000_000 for pid, start in zip(pids, before, strict=True))


def test_executions_side_by_side_are_told_apart(split, containers):
    other = split.add_node(split.folder / "second", "--name", SECOND)
    mark = len(split.orchestrator.lines)
    other.start()
    split.orchestrator.until(f"node {SECOND} joined", mark)
    for kind in ({"Count": 2}, {"Type": "ops", "Count": 0}):
        job_id = split.submit(f"printf half; {HOLD}; echo ' a line'; printf rest", job=kind)
        containers.until("start", job_id, 2)
        with split.following("job", "logs", "-f", job_id) as following:
            containers.let_all_go(job_id)
            lines = following.stdout.read().splitlines()
            assert following.wait(30) == 0
        names = [e.id[:10] for e in split.client.executions(job_id)]
        assert sorted(lines) == sorted(f"[{name}] {text}" for name in names for text in ("half a line", "rest"))
        assert sorted(split.cli("logs", job_id).stdout.splitlines()) == sorted(lines)
        assert split.cli("job", "logs", "-e", names[0], job_id).stdout == "half a line\nrest"
    assert other.stop() == 0


def test_following_begins_before_the_job_is_placed(split):
    split.node.stop()
    job_id = split.submit("echo at last")
    with split.following("logs", "-f", job_id) as following:
        split.start()
        assert following.stdout.read() == "at last\n"
        assert following.wait(30) == 0


def test_logs_outlive_their_node(split):
    job = split.run(f"{LONG}; sleep 1; echo problem >&2")
    stopped = split.submit(f"echo so far; {HOLD}")
    with split.following("logs", "-f", stopped) as following:
        assert following.stdout.readline() == "so far\n"
        split.client.stop(stopped)
        assert following.stdout.read() == "" and following.wait(30) == 0
    timed_out = split.run(f"{LONG}; {HOLD}", Timeouts={"ExecutionTimeout": 3})
    assert timed_out.state.state_type == "Failed"
    assert split.cli("logs", "-f", timed_out.id).stdout == LONG_TEXT
    split.node.kill()
    shutil.rmtree(split.node_dir)
    shown = split.cli("logs", job.id)
    assert (shown.stdout, shown.stderr) == (LONG_TEXT, "problem\n")
    assert split.cli("job", "logs", "--tail", 2, job.id).stdout == "20000\nproblem\n"
    assert split.cli("logs", "-f", job.id).stdout == LONG_TEXT
    assert split.cli("logs", stopped).stdout == "so far\n"
    assert split.cli("logs", timed_out.id).stdout == LONG_TEXT
