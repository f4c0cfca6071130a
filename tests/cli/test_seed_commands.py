"""The commands of the tutorial's generation against a running system, beside what the original printed."""

import json
import os
import re

import yaml

from tests.cli.conftest import plain

EXIT3 = "QmRg1xCUY3Pi8obpRkHpdATiR29Cse4LdSKsVjv3UF3x1C"  # published by the original for the same output

RUN = """Job successfully submitted. Job ID: j-UUID
Checking job status... (Enter Ctrl+C to exit at any time, your job will continue running):

\tCommunicating with the network  ................  done ✅  TIMER
\t   Creating job for submission  ................  done ✅  TIMER
\t               Job in progress  ................  done ✅  TIMER

To download the results, execute:
\tbacalhau get j-UUID

To get more details about the run, execute:
\tbacalhau describe j-UUID
"""

DESCRIBE = """Job:
  APIVersion: V1beta2
  Metadata:
    ClientID: CLIENT
    CreatedAt: "TIME"
    ID: j-UUID
    Requester:
      RequesterNodeID: n-UUID
  Spec:
    Deal:
      Concurrency: 1
    Docker: {}
    EngineSpec:
      Params:
        Entrypoint: null
        EnvironmentVariables: []
        Image: IMAGE
        Parameters:
        - sh
        - -c
        - echo out; echo err >&2; exit 3
        WorkingDirectory: ""
      Type: docker
    Network:
      Type: None
    Outputs:
    - Name: outputs
      Path: /outputs
    PublisherSpec:
      Type: ipfs
    Resources:
      CPU: 500m
      GPU: ""
      Memory: "512000000"
    Timeout: 60
    Wasm:
      EntryModule: {}
State:
  CreateTime: "TIME"
  Executions:
  - ComputeReference: e-UUID
    CreateTime: "TIME"
    DesiredState: 2
    JobID: j-UUID
    NodeId: n-UUID
    PublishedResults:
      CID: QmRg1xCUY3Pi8obpRkHpdATiR29Cse4LdSKsVjv3UF3x1C
      StorageSource: ipfs
    RunOutput:
      exitCode: 3
      runnerError: ""
      stderr: |
        err
      stderrtruncated: false
      stdout: |
        out
      stdouttruncated: false
    State: Completed
    Status: STATUS
    UpdateTime: "TIME"
    Version: N
  JobID: j-UUID
  State: Completed
  TimeoutAt: "TIME"
  UpdateTime: "TIME"
  Version: N
"""


def test_run_tells_its_steps_and_what_to_do_next(system):
    done = system.cli("docker", "run", system.image, "--", "sh", "-c", "exit 3")
    assert plain(done.stdout) == RUN
    assert plain(done.stderr).splitlines()[-1] == "e-SHORT exited with code 3 on n-SHORT"
    assert {"e-SHORT placed on n-SHORT", "completed"} <= set(plain(done.stderr).splitlines())


def test_run_with_the_id_only(system):
    done = system.cli("docker", "run", "--id-only", "--wait", system.image, "--", "true")
    assert plain(done.stdout) == "j-UUID\n" and done.stderr == ""
    assert json.loads(system.cli("describe", done.stdout.strip(), "--json").stdout)["State"]["State"] == "Completed"


def test_run_without_waiting(system):
    done = system.cli("docker", "run", "--wait=false", system.image, "--", "true")
    assert plain(done.stdout) == "j-UUID\n"


def test_run_following_the_output(system):
    done = system.cli("docker", "run", "-f", system.image, "--", "sh", "-c", "echo a; echo b >&2; echo c; exit 2")
    heading = "Waiting for logs... (Enter Ctrl+C to exit at any time, your job will continue running):"
    assert plain(done.stdout) == f"Job successfully submitted. Job ID: j-UUID\n{heading}\n\na\nc\n"
    assert plain(done.stderr).splitlines() == ["b", "e-SHORT exited with code 2 on n-SHORT"]


def test_a_dry_run_prints_the_job(system, tmp_path):
    done = system.cli(
        "docker",
        "run",
        "--dry-run",
        "--network",
        "none",
        "-i",
        "s3://b/k*:/in",
        system.image,
        "--",
        "echo",
        "hello",
        BACALHAU_API_PORT="1",
    )
    job = yaml.safe_load(done.stdout)
    assert job.keys().isdisjoint({"ID", "State", "Version", "Revision", "CreateTime", "ModifyTime"})
    assert (job["Type"], job["Count"], job["Namespace"], job["Tasks"][0]["Name"]) == ("batch", 1, "default", "main")
    assert job["Tasks"][0]["Engine"]["Params"]["Parameters"] == ["echo", "hello"] and job["Tasks"][0]["Publisher"] == {
        "Type": "ipfs"
    }
    (tmp_path / "dry.yaml").write_text(done.stdout)
    assert system.cli("job", "validate", tmp_path / "dry.yaml").stdout == "OK\n"
    assert system.cli("create", "--dry-run", tmp_path / "dry.yaml").stdout.startswith(
        'APIVersion: V1beta2\nMetadata:\n  CreatedAt: "0001-01-01T00:00:00Z"\n'
    )


def test_describe_as_the_original_wrote_it(system, run):
    job = run("echo out; echo err >&2; exit 3", "--network", "none", "--timeout", 60)
    text = plain(system.cli("describe", job).stdout).replace(system.image, "IMAGE")
    text = re.sub(r"Version: \d+$", "Version: N", re.sub(r"Status: .*", "Status: STATUS", text), flags=re.MULTILINE)
    assert text == DESCRIBE
    tree = json.loads(system.cli("describe", job, "--json").stdout)
    assert list(tree) == ["Job", "State"]
    assert [e["PublishedResults"]["CID"] for e in tree["State"]["Executions"]] == [EXIT3]
    history = json.loads(system.cli("describe", job[:10], "--json", "--include-events").stdout)["History"]
    assert {item["Type"] for item in history} == {"JobLevel", "ExecutionLevel"}


def test_list_narrow_wide_and_for_programs(system, run):
    job = run("true", "-l", "mine,k=v")
    narrow = system.cli("list", "--id-filter", job).stdout.splitlines()
    assert narrow[0].split() == ["CREATED", "ID", "JOB", "STATE", "PUBLISHED"]
    assert (
        plain(narrow[1]).split()[:2] == ["CLOCK", "j-SHORT"] and 'Type:"docker",Params:"map[Entrypoint:<ni' in narrow[1]
    )
    wide = system.cli("list", "--id-filter", job, "--wide", "--hide-header").stdout
    assert job in wide and "Completed" in wide and "ipfs://Qm" in wide and len(wide.splitlines()) == 1
    (item,) = json.loads(system.cli("list", "--output", "json", "-n", 1).stdout)
    assert item["Job"]["Metadata"]["ID"] == job and item["Job"]["Spec"]["Annotations"] == ["mine", "k"]
    assert system.cli("list", "--include-tag", "mine", "--output", "csv").stdout.splitlines()[1:] != []
    assert system.cli("list", "--exclude-tag", "mine", "--id-filter", "", "--hide-header").stdout.find(job[:10]) == -1
    assert "\x1b" not in system.cli("list").stdout


def test_list_shows_ones_own_and_all(system, run, tmp_path):
    job = run("true")
    other = {"BACALHAU_DIR": str(tmp_path / "other")}
    assert job not in system.cli("list", "--wide", **other).stdout
    assert job in system.cli("list", "--wide", "--all", **other).stdout
    nobody = system.run("true", job={"Meta": {}}).id
    assert system.cli("list", "--wide", "-n", "0", **other).returncode == 0
    assert nobody in system.cli("list", "--wide", "--all", "-n", "0", **other).stdout


def test_get_into_a_folder_once(system, run, folder):
    job = run("echo out; echo 1 > /outputs/a; mkdir /outputs/d; echo 2 > /outputs/d/b")
    done = system.cli("get", job, "--output-dir", folder)
    assert done.stdout == f"Results for job '{job}' have been written to...\n{folder}\n"
    assert done.stderr == f"Fetching results of job '{job}'...\n"
    assert sorted(os.listdir(folder)) == ["exitCode", "outputs", "stderr", "stdout"]
    assert (folder / "outputs/d/b").read_text() == "2\n" and (folder / "exitCode").read_text() == "0"
    again = system.cli("get", job, "--output-dir", folder, code=1)
    refusal = (
        f"cannot merge results as output already exists: {folder}/exitCode. Try --raw to download raw results instead"
        " of merging them"
    )
    assert again.stdout == "" and again.stderr.splitlines()[1] == f"error downloading job: {refusal}"
    assert sorted(os.listdir(folder)) == ["exitCode", "outputs", "stderr", "stdout"]
    system.cli("get", job, "--raw", "--output-dir", folder)
    assert [sorted(os.listdir(p)) for p in (folder / "raw").iterdir()] == [["exitCode", "outputs", "stderr", "stdout"]]
    assert "raw results are there already" in system.cli("get", job, "--raw", "--output-dir", folder, code=1).stderr


def test_get_by_default_and_in_part(system, run, tmp_path, folder):
    job = run("echo 1 > /outputs/a; echo 2 > /outputs/b")
    done = system.cli("get", job[:10], cwd=tmp_path)
    assert done.stdout.splitlines()[1] == f"{tmp_path}/job-{job[:10]}"
    assert (tmp_path / f"job-{job[:10]}/outputs/b").read_text() == "2\n"
    system.cli("get", f"{job}/outputs/b", "--output-dir", folder)
    assert [str(p.relative_to(folder)) for p in folder.rglob("*")] == ["outputs", "outputs/b"]
    missing = system.cli("get", f"{job}/outputs/zz", "--output-dir", folder, code=1)
    assert "zz" in missing.stderr.splitlines()[1]
    assert sorted(os.listdir(folder)) == ["outputs"]


def test_get_refuses_what_it_cannot_do(system, run, tmp_path):
    job = run("true")
    done = system.cli("get", job, "--output-dir", "nope", cwd=tmp_path, code=1)
    assert done.stderr.splitlines()[1] == f"error downloading job: output dir does not exist: {tmp_path}/nope"
    early = system.cli(
        "docker", "run", "--download", "--output-dir", "nope", system.image, "--", "true", cwd=tmp_path, code=1
    )
    assert early.stdout == "" and early.stderr.splitlines()[-2] == f"Error: output dir does not exist: {tmp_path}/nope"
    (tmp_path / "file").touch()
    done = system.cli("get", job, "--output-dir", "file", cwd=tmp_path, code=1)
    assert done.stderr.splitlines()[1] == f"error downloading job: output dir is no directory: {tmp_path}/file"
    done = system.cli("job", "get", job, "--output-dir", "/proc", code=1)
    assert done.stderr.splitlines()[1] == "Error: cannot write the results to /proc: no such file or directory"
    assert (
        system.cli("get", "nope", code=1)
        .stderr.splitlines()[1]
        .startswith("error downloading job: job not found: nope")
    )


def test_several_results_are_joined(system, run, folder):
    job = run("echo line; echo $BACALHAU_PARTITION_INDEX > /outputs/part-$BACALHAU_PARTITION_INDEX", "--count", 2)
    system.cli("get", job, "--output-dir", folder)
    assert (folder / "stdout").read_text() == "line\nline\n" and (folder / "exitCode").read_text() == "00"
    assert sorted(p.read_text() for p in (folder / "outputs").iterdir()) == ["0\n", "1\n"]


def test_download_with_the_run(system, folder):
    done = system.cli(
        "docker",
        "run",
        "--id-only",
        "--download",
        "--output-dir",
        folder,
        system.image,
        "--",
        "sh",
        "-c",
        "echo 1 > /outputs/a",
    )
    assert plain(done.stdout) == "j-UUID\n" and done.stderr == ""
    assert (folder / "outputs/a").read_text() == "1\n"


def test_logs_keep_the_streams_apart(system, run):
    job = run("echo out; echo err >&2")
    for flags in ((), ("-f",)):
        done = system.cli("logs", job, *flags)
        assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert system.cli("logs", "nope", code=1).stderr.startswith("Error: job not found: nope\n")


def test_cancel(system):
    job = system.cli("docker", "run", "--id-only", "--wait=false", system.image, "--", "sleep", "60").stdout.strip()
    done = system.cli("cancel", job)
    steps = [
        f"\t{text}  ................  done ✅  TIMER"
        for text in ("Connecting to network", "  Verifying job state", "        Canceling job")
    ]
    assert plain(done.stdout).splitlines() == [
        "Checking job status",
        "",
        *steps,
        "",
        "Job successfully canceled. Job ID: j-UUID",
    ]
    again = system.cli("cancel", job, code=1)
    assert again.stderr == "Error: Job is already in a terminal state.\nThe current state is: Cancelled\n"
    assert plain(again.stdout).splitlines()[-1] == "\t  Verifying job state  ................  err  ❌  TIMER"
    quiet = system.cli("cancel", "--quiet", "nope", code=1)
    assert quiet.stdout == "" and quiet.stderr.startswith("Error: job not found: nope\n")


def test_identity_and_version(system):
    found = json.loads(system.cli("id").stdout)
    assert len(found["ClientID"]) == 64 and set(found) == {"ID", "ClientID"}
    assert [line.split() for line in system.cli("version").stdout.splitlines()] == [
        ["CLIENT", "SERVER"],
        ["v1.9.3", "v1.9.3"],
    ]
    assert system.cli("version", "--client").stdout == " CLIENT \n v1.9.3 \n"
    assert list(json.loads(system.cli("version", "--output", "json").stdout)) == ["clientVersion", "serverVersion"]
    absent = system.cli("version", "--api-port", "1")
    assert (
        absent.stdout == " CLIENT \n v1.9.3 \n"
        and absent.stderr == "Warning: cannot reach the orchestrator at http://127.0.0.1:1: connection refused\n"
    )
