"""Commands on a real terminal: what a person sees while a job is queued, staged, run and published.

Stages are slow because the gate in front of the S3 server holds their bytes back.
"""

import json
import re

import pytest

from tests.support.gate import Gate
from tests.support.screen import in_terminal
from tests.support.system import PROGRAM, System, s3_input, s3_publisher

SIZE = 20_000_000


@pytest.fixture(scope="module")
def plain(anyio_backend, tmp_path_factory):
    """A system that runs no containers."""
    settings = {"Compute.AllocatedCapacity.CPU": 4}
    with System(tmp_path_factory.mktemp("plain"), "unix:///nowhere/docker.sock", settings=settings) as system:
        yield system


@pytest.fixture
def gate(s3):
    with Gate(s3.url) as gate:
        yield gate


def terminal(system, *args, columns=80, lines=24, **more):
    environment = {key: value for key, value in system.client_environment.items() if key not in ("CI", "NO_COLOR")}
    return in_terminal([PROGRAM, *map(str, args)], environment | more, columns, lines)


def job_file(folder, *, count=1, **task):
    params = {"Sleep": task.pop("sleep", 0), "Stdout": task.pop("stdout", "")}
    lines = ["Type: batch", f"Count: {count}", "Tasks:", "- Name: main"]
    lines += [f"  Engine: {{Type: noop, Params: {params}}}", *(f"  {key}: {value}" for key, value in task.items())]
    path = folder / "job.yaml"
    path.write_text("\n".join(lines))
    return path


def submitted(screen):
    return re.search(r"Job ID: (j-[0-9a-f-]{36})", screen)[1]


def test_a_run_is_one_block_and_then_the_outcome(plain, s3, bucket, gate, tmp_path):
    s3.fill(bucket, {"in/a.bin": bytes(SIZE)})
    staging = gate.hold(f"GET /{bucket}/in/a.bin", after=SIZE // 4)
    publishing = gate.hold(f"PUT /{bucket}/out")
    path = job_file(
        tmp_path,
        stdout="hello",
        InputSources=[s3_input(gate.url, bucket, "in/a.bin")],
        Publisher=s3_publisher(gate.url, bucket, "out/{executionID}"),
    )
    with terminal(plain, "job", "run", path) as screen:
        seen = screen.until(lambda text: re.search(r"staging +━+─+ \S+ MB of 20\.0 MB +0:\d\d", text))
        assert re.search(r"^j-[0-9a-f]{8}  running +0:\d\d$", seen, re.MULTILINE)
        assert re.search(r"^  e-[0-9a-f]{8}  n-[0-9a-f]{8}  staging", seen, re.MULTILINE)
        assert screen.cursor_is_hidden
        staging.open()
        screen.until("publishing")
        publishing.open()
        assert screen.end() == 0
        last = screen.text
    job_id = submitted(last)
    assert re.search(r"^✓ completed in \d+\.\d s$", last, re.MULTILINE)
    assert f"  s3://{bucket}/out/e-" in last and f"bacalhau job get {job_id}" in last
    assert "staging" not in last and "0:0" not in last, "the block is gone"
    assert not screen.cursor_is_hidden
    for frame in screen.frames:
        assert frame.count("  running  ") <= 2 and frame.count("Job ID") <= 1


@pytest.mark.parametrize("columns", [30, 40, 60, 132])
def test_lines_fit_every_terminal(plain, tmp_path, columns):
    path = job_file(tmp_path, count=3, sleep=1)
    with terminal(plain, "job", "run", path, columns=columns, lines=40) as screen:
        seen = screen.until(lambda text: len(re.findall(r"^  e-\w+ .*running", text, re.MULTILINE)) == 3)
        assert all(len(line) < columns or "j-" not in line[:3] for line in seen.splitlines())
        assert screen.end() == 0
        for frame in screen.frames:
            assert len(re.findall(r"^j-[0-9a-f]{8}  ", frame, re.MULTILINE)) <= 1, frame


def test_many_executions_keep_to_the_height(plain, tmp_path):
    path = job_file(tmp_path, count=40, sleep=1, Resources='{CPU: "0.05", Memory: 1mb}')
    with terminal(plain, "job", "run", path, lines=12) as screen:
        seen = screen.until(lambda text: re.search(r"\d+ of 40 running", text))
        assert seen.count("\n  e-") <= 9
        assert screen.end() == 0
        for frame in screen.frames:
            assert len(re.findall(r"of 40 \w+", frame)) <= 1, frame


def test_a_resize_leaves_no_rubbish(plain, tmp_path):
    path = job_file(tmp_path, count=3, sleep=3)
    with terminal(plain, "job", "run", path, columns=100) as screen:
        screen.until("3 of 3 running")
        screen.resize(60, 24)
        narrow = screen.until(lambda text: re.search(r"running {3,25}0:\d\d$", text, re.MULTILINE))
        screen.resize(110, 30)
        wide = screen.until(lambda text: re.search(r"running {50,}0:\d\d$", text, re.MULTILINE))
        for seen in (narrow, wide):
            assert seen.count("  e-") == 3 and seen.count("3 of 3") == 1, seen
        assert screen.end() == 0
        assert screen.text.count("\n  e-") == 0


def test_an_interrupt_says_that_the_job_goes_on(plain, tmp_path):
    path = job_file(tmp_path, sleep=60)
    with terminal(plain, "job", "run", path) as screen:
        screen.until(lambda text: re.search(r"e-\w+ .*running", text))
        screen.interrupt()
        assert screen.end() == 130
        job_id = submitted(screen.text)
        assert "Printout canceled (the job is still running)." in screen.text
        assert f"To cancel the job, run:\n   bacalhau job stop {job_id}" in screen.text
        assert not re.search(r"\be-", screen.text) and not screen.cursor_is_hidden
    plain.client.stop(job_id)


@pytest.mark.parametrize(
    ("variables", "is_drawn", "is_coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"CI": "true"}, False, False),
    ],
    ids=["plain", "no colour", "dumb", "build server"],
)
def test_the_terminal_is_respected(plain, tmp_path, variables, is_drawn, is_coloured):
    path = job_file(tmp_path, count=2, sleep=1)
    with terminal(plain, "job", "run", path, **variables) as screen:
        assert screen.end() == 0
    assert (b"\x1b[?25l" in screen.bytes) is is_drawn
    assert (b"\x1b[3" in screen.bytes) is is_coloured


def test_a_failure_is_its_cause_and_its_cure(plain, s3, bucket, tmp_path):
    path = job_file(tmp_path, InputSources=[s3_input(s3.url, bucket, "nothing/")])
    with terminal(plain, "job", "run", path, columns=120) as screen:
        assert screen.end() == 1
        assert re.search(r"^Error: .*nothing/", screen.text, re.MULTILINE)
        assert re.search(r"^Hint: ", screen.text, re.MULTILINE)
        assert "  e-" not in screen.text


def test_an_id_alone_is_all_that_a_program_asked_for(plain, tmp_path):
    path = job_file(tmp_path, sleep=1)
    with terminal(plain, "job", "run", "--id-only", path) as screen:
        assert screen.end() == 0
    assert re.fullmatch(rb"j-[0-9a-f-]{36}\r\n", screen.bytes)


def test_top_shows_nodes_queue_and_executions(plain, tmp_path):
    job_id = plain.client.submit(job_file(tmp_path, count=2, sleep=60, Resources='{CPU: "0.1"}').read_text())
    full = plain.client.submit(job_file(tmp_path, sleep=60, Resources='{CPU: "3.9"}').read_text())
    with terminal(plain, "top") as screen:
        seen = screen.until(lambda text: len(re.findall(r"^e-\w+  n-\w+  running +j-", text, re.MULTILINE)) == 2)
        assert len(seen.splitlines()) <= 24 and seen.splitlines()[-1] == "q quit   s sort   up, down scroll"
        assert re.search(r"^n-[0-9a-f]{8}  connected +━*─* 0\.2/4 ", seen, re.MULTILINE)
        assert re.search(r"^ +1  .* oldest 0:\d\d$", seen, re.MULTILINE)
        screen.type("s")
        screen.until("EXECUTIONS, by node")
        screen.resize(60, 15)
        screen.until(lambda text: len(text.splitlines()) == 14)
        plain.client.stop(full)
        screen.until("nothing waits")
        screen.type("q")
        assert screen.end() == 0
        assert screen.text == "" and not screen.cursor_is_hidden, "what was on the terminal before is there again"
    once = plain.cli("top", "--once").stdout
    assert len(re.findall(r"^e-", once, re.MULTILINE)) == 2 and "\x1b" not in once and "q quit" not in once
    assert plain.cli("top").stdout.splitlines()[1:4] == once.splitlines()[1:4], "a pipe is once, too"
    plain.client.stop(job_id)


def test_output_is_whole_beside_the_block(plain, tmp_path):
    path = job_file(tmp_path, count=3, sleep=1, stdout="of one line")
    with terminal(plain, "job", "run", "-f", path) as screen:
        assert screen.end() == 0
        assert len(re.findall(r"^\[e-[0-9a-f]{8}\] of one line$", screen.text, re.MULTILINE)) == 3
        assert "  e-" not in screen.text and not screen.cursor_is_hidden


def test_doctor_says_what_is_broken_and_what_to_do(plain, tmp_path):
    well = plain.cli("doctor", DOCKER_HOST="unix:///nowhere/docker.sock").stdout
    states = dict(_states(well))
    assert states["server"] == states["permissions"] == states["config"] == "ok"
    assert states["docker"] == "warning" and "only a machine that runs jobs needs it" in well
    folder = tmp_path / "node"
    (folder / "compute").mkdir(parents=True)
    (folder / "user_id.pem").write_text("a key")
    (folder / "user_id.pem").chmod(0o644)
    bad = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "BACALHAU_API_PORT": "1"}
    broken = plain.cli("doctor", "--data-dir", folder, "--output", "json", code=1, **bad)
    found = {each["Name"]: each for each in json.loads(broken.stdout)}
    assert {name for name, each in found.items() if each["State"] == "broken"} >= {"server", "docker", "permissions"}
    assert all(each["Cure"] for each in found.values() if each["State"] != "ok")
    assert found["permissions"]["Cure"] == f"`chmod 600 {folder}/user_id.pem`"
    wrong = plain.cli("doctor", "-c", "API.Prot=7", code=1).stdout
    assert wrong.startswith("broken") and "API.Prot" in wrong


def _states(text):
    return [(name, state) for state, name in re.findall(r"^(ok|warning|broken) +(\w+) ", text, re.MULTILINE)]
