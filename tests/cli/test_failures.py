"""What a user sees when something is wrong: one message, the cause first, exit code 1, and nothing on stdout."""

import json
import os
import signal
import subprocess

import pytest

from tests.cli.conftest import plain
from tests.support.system import PROGRAM

WRONG = {
    "foo": ["-i", "foo"],
    "gopher": ["-i", "gopher://bar:/x"],
    "A must be formatted as key=value": ["-e", "A"],
    "a b": ["-l", "a b"],
    "ftp": ["-p", "ftp://x"],
    "bucket cannot be empty": ["-p", "s3://"],
    "invalid output volume: x": ["-o", "x"],
    "invalid CPU value: abc": ["--cpu", "abc"],
    "zzz": ["--network", "zzz"],
    'unknown option "nope"': ["-i", "s3://b/k:/in,opt=nope=1"],
    'expecting "any" or "all", not "some"': ["--target", "some"],
    "unknown flag: --nope": ["--nope"],
    "already exists": ["-i", "s3://b/k:/x", "-i", "s3://b/k2:/x"],
}

FILES = {
    "two faults": ("Name: x\nType: nope\nTasks: []\n", ['invalid job type: "nope"', "missing job tasks"]),
    "everything wrong": (
        (
            "Namee: x\nType: nope\nPriority: high\nTasks: [{Nmae: a, Name: main, Engine: {Type: dokker}, Resources:"
            " {CPU: abc}}]\n"
        ),
        ["'Namee'", "'Priority'", "'Nmae'", 'job type: "nope"', "'dokker'", "CPU value: abc"],
    ),
    "unknown field": ("Namee: x\nType: batch\nTasks: []\n", ["unknown field: 'Namee' in 'Job'"]),
    "broken yaml": ("Name: [\n", ["broken YAML at line 2"]),
    "wrong type": ("Name: x\nType: batch\nCount: abc\nTasks: []\n", ["Count", "abc"]),
    "nothing": ("", ["no content provided"]),
}


@pytest.mark.parametrize("word", WRONG)
def test_a_wrong_flag(system, word):
    done = system.cli("docker", "run", *WRONG[word], "image:1", "--", "true", code=1)
    assert done.stdout == "" and done.stderr.startswith("Error: ")
    assert word in done.stderr and len(done.stderr) < 1200


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("command", [["job", "run"], ["create"], ["validate"], ["job", "validate"]], ids=" ".join)
def test_a_wrong_job_file(system, tmp_path, what, command):
    text, words = FILES[what]
    path = tmp_path / "job.yaml"
    path.write_text(text)
    done = system.cli(*command, path, code=1)
    assert done.stdout == "" and done.stderr.startswith("Error: ")
    assert [word for word in words if word not in done.stderr] == []


def test_a_good_job_file(system, tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("Type: batch\nTasks: [{Name: main, Engine: {Type: docker, Params: {Image: a}}}]\n")
    assert system.cli("validate", path).stdout == "The Job is valid\n"
    assert system.cli("job", "validate", path).stdout == "OK\n"
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "APIVersion: V1beta2\nSpec: {EngineSpec: {Type: docker, Params: {Image: a}}, Deal: {Concurrency: 1}}\n"
    )
    assert system.cli("validate", seed).stdout == "The Job is valid\n"
    assert json.loads(system.cli("validate", "--output-schema").stdout)["$defs"]["Job"]


def test_what_is_ignored_is_told(system, tmp_path):
    """One of the original's own examples, and a file with what an earlier generation had."""
    path = tmp_path / "job.yaml"
    path.write_text(
        "Name: x\nType: batch\nTasks: [{Name: main, Engine: {Type: noop, Params: {Retries: 1}}, Nope: 1, Publisher:"
        " {Type: local, Params: {TargetPath: /t}}}]\n---\nName: y\n"
    )
    in_file = ["one that begins at line 4 is ignored", "unknown field: 'Nope' in 'Job.Tasks[0]', ignored"]
    params = [f"'Job.Tasks[0].{place}.Params', ignored" for place in ("Engine", "Publisher")]
    for command in (["validate"], ["job", "validate"], ["job", "run", "--dry-run"]):
        told = system.cli(*command, path).stderr
        assert [told.count(text) for text in (*in_file, *params)] == [1, 1, 1, 1], command
    seed = tmp_path / "seed.yaml"
    seed.write_text("APIVersion: V1beta1\nSpec: {Engine: Docker, Verifier: Noop, Docker: {Image: a}}\n")
    for command in (["create", "--dry-run"], ["validate"]):
        assert "Warning: unknown field: 'Verifier' in 'Job.Spec', ignored" in system.cli(*command, seed).stderr


@pytest.mark.parametrize("command", ["create", "validate"])
def test_a_file_that_is_not_there(system, command):
    done = system.cli(command, "nofile.yaml", code=1)
    assert (done.stdout, done.stderr) == ("", 'Error: opening job file ("nofile.yaml"): no such file or directory\n')


def test_a_job_from_stdin(system):
    text = (
        f'{{"Spec": {{"EngineSpec": {{"Type": "docker", "Params": {{"Image": "{system.image}", "Parameters": ["echo",'
        ' "hi"]}}}}'
    )
    done = subprocess.run(
        [PROGRAM, "create", "--id-only"],
        input=text,
        capture_output=True,
        text=True,
        env=system.client_environment,
        timeout=60,
        check=False,
    )
    assert plain(done.stdout) == "j-UUID\n" and (done.returncode, done.stderr) == (0, "")
    assert system.cli("logs", done.stdout.strip()).stdout == "hi\n"


def test_a_failed_job_names_its_cause_first(system):
    done = system.cli("docker", "run", "--id-only", system.image, "--", "no-such-program", code=1)
    first = done.stderr.splitlines()[0]
    assert plain(done.stdout) == "j-UUID\n" and first.startswith("Error: ") and "no-such-program" in first
    shown = system.cli("docker", "run", system.image, "--", "no-such-program", code=1)
    assert (
        first in shown.stderr.splitlines()
        and "• Node n-" in shown.stdout
        and "To download the results" not in shown.stdout
    )
    assert plain(shown.stdout).splitlines()[5].endswith("err  ❌  TIMER")
    followed = system.cli("docker", "run", "-f", system.image, "--", "no-such-program", code=1)
    assert "no-such-program" in followed.stderr.splitlines()[0]


def test_a_job_no_node_can_run(system):
    done = system.cli("docker", "run", "--cpu", "6400", system.image, "--", "true", code=1)
    assert "6400" in done.stderr and "CPU" in done.stderr
    assert "bacalhau describe" in done.stdout


def test_a_folder_no_node_allows(system, tmp_path):
    done = system.cli("docker", "run", "--id-only", "-i", f"file://{tmp_path}", system.image, "--", "true", code=1)
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: no local paths are allowed on this node (") and second.startswith(
        "Hint:  Compute.AllowListedLocalPaths"
    )


def test_streams_that_are_closed_or_full(system):
    def shell(text):
        return subprocess.run(
            ["sh", "-c", text], capture_output=True, text=True, env=system.client_environment, timeout=60, check=False
        )

    assert (shell(f"{PROGRAM} list >&-").returncode, shell(f"{PROGRAM} nope 2>&-").returncode) == (0, 1)
    full = shell(f"{PROGRAM} list >/dev/full")
    assert (full.returncode, full.stderr) == (1, "Error: No space left on device\n")
    assert "no content provided" in shell(f"{PROGRAM} create <&-").stderr


def test_a_container_that_fails_by_itself_is_no_failure(system):
    assert system.cli("docker", "run", "--id-only", system.image, "--", "false").stderr == ""


@pytest.mark.parametrize(
    "command",
    [
        ["describe", "j-nope"],
        ["logs", "j-nope"],
        ["job", "describe", "j-nope"],
        ["job", "history", "j-nope"],
        ["job", "executions", "j-nope"],
    ],
    ids=" ".join,
)
def test_an_unknown_job(system, command):
    done = system.cli(*command, code=1)
    assert done.stdout == "" and done.stderr.startswith("Error: job not found: j-nope\n")


@pytest.mark.parametrize(
    "command", [["list"], ["job", "list"], ["node", "list"], ["describe", "x"], ["docker", "run", "a:1"]], ids=" ".join
)
def test_no_server(system, command):
    done = system.cli(*command, code=1, BACALHAU_API_PORT="1")
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "Error: cannot reach the orchestrator at http://127.0.0.1:1: connection refused",
        (
            "Hint:  start one with `bacalhau devstack` or `bacalhau serve --orchestrator --compute`, or set"
            " BACALHAU_API_HOST / BACALHAU_API_PORT"
        ),
    ]


def interrupted(system, *flags):
    """What a waiting command prints when Ctrl-C comes after its first line."""
    # A suite that runs in the background of a shell inherits an ignored Ctrl-C, which the command would rightly go on
    # ignoring.
    command = ["env", "--default-signal=INT", PROGRAM, "docker", "run", *flags, system.image, "--", "sleep", "30"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=system.client_environment
    )
    first = child.stdout.readline()
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=30)
    return child.returncode, first + out, err


def test_ctrl_c_leaves_the_job_running(system):
    code, out, err = interrupted(system)
    job = out.split("Job ID: ")[1].split()[0]
    assert (code, "Traceback" in err) == (130, False)
    assert out.endswith(
        f"To get more information at any time, run:\n   bacalhau describe {job}\n\nTo cancel the job, run:\n   bacalhau"
        f" cancel {job}\n"
    )
    assert json.loads(system.cli("describe", job, "--json").stdout)["State"]["State"] in ("New", "InProgress")
    system.cli("cancel", "--quiet", job)


def test_ctrl_c_with_the_id_only_ends_a_script_and_says_what_goes_on(system):
    code, out, err = interrupted(system, "--id-only")
    assert (code, plain(out), err) == (
        130,
        "j-UUID\n",
        f"job {out.strip()} goes on; `bacalhau cancel {out.strip()}` stops it\n",
    )
    system.cli("cancel", "--quiet", out.strip())


def test_a_reader_that_goes_away_is_no_traceback(system, run):
    job = run("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
    shell = f"{PROGRAM} logs {job} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, env=system.client_environment, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("line 0\n", "")
