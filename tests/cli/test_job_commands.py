"""The commands of today's generation against a running system, beside what the original printed."""

import json

from tests.cli.conftest import plain

DESCRIBE = """ID            = j-UUID
Name          = described
Namespace     = default
Type          = batch
State         = Completed
Count         = 1
Created Time  = TIME
Modified Time = TIME
Version       = 1

Summary
Completed = 1

Job History
 TIME                 TOPIC         EVENT
 TIME  Submission    Job submitted
 TIME  State Update  Running
 TIME  State Update  Completed

Executions
 ID          NODE ID     STATE      DESIRED  REV.  CREATED  MODIFIED  COMMENT
 e-SHORT  n-SHORT  Completed  Stopped  REV  AGO AGO Completed

Execution e-SHORT History
"""


def test_run_tells_events_and_what_to_do_next(system, job_file):
    done = system.cli("job", "run", job_file("told"))
    lines = plain(done.stdout).splitlines()
    assert lines[:2] == [
        "Job successfully submitted. Job ID: j-UUID",
        "Checking job status... (Enter Ctrl+C to exit at any time, your job will continue running):",
    ]
    assert lines[3:6] == [
        " TIME          EXEC. ID    TOPIC            EVENT ",
        " CLOCK              Submission       Job submitted ",
        " CLOCK  e-SHORT  Scheduling       Requested execution on n-SHORT ",
    ]
    assert " CLOCK  e-SHORT  Execution        Completed successfully " in lines
    assert lines[-5:] == [
        "To get more details about the run, execute:",
        "\tbacalhau job describe j-UUID",
        "",
        "To get more details about the run executions, execute:",
        "\tbacalhau job executions j-UUID",
    ]


def test_the_same_job_again(system, job_file):
    path = job_file("again")
    job = system.cli("job", "run", "--id-only", path).stdout
    again = system.cli("job", "run", path, code=1)
    told = f"no changes detected for new job spec. Job Name: 'again', Job Id: '{job.strip()}'"
    assert (
        again.stdout == "" and again.stderr == f"Error: {told}\nHint:  Use the --force flag to override this warning\n"
    )
    assert (
        system.cli("create", path, code=1).stderr
        == f"Error: {told}\nHint:  `bacalhau job rerun ID` runs it again; or change the job, or its name\n"
    )
    assert system.cli("job", "run", "--force", "--id-only", path).stdout == job
    assert [line.split()[-1] for line in system.cli("job", "versions", "again").stdout.splitlines()] == [
        "VERSION",
        "1",
        "2",
    ]
    assert (
        json.loads(system.cli("job", "describe", "again", "-v", "1", "--output", "json").stdout)["Job"]["Version"] == 1
    )


def test_describe_as_the_original_wrote_it(system, job_file):
    job = system.cli("job", "run", "--id-only", job_file("described", "echo out; echo err >&2")).stdout.strip()
    text = "\n".join(line.rstrip() for line in plain(system.cli("job", "describe", "described").stdout).split("\n"))
    revision = text.partition("Stopped  ")[2].split()[0]
    assert text.startswith(DESCRIBE.replace("REV ", revision + " " * (5 - len(revision))))
    assert text.endswith("\nStandard Output\nout\nerr\n")
    tree = json.loads(system.cli("job", "describe", job[:10], "--output", "json").stdout)
    assert (
        list(tree) == ["Job", "History", "Executions"]
        and tree["Executions"]["Items"][0]["RunOutput"]["stderr"] == "err\n"
    )


def test_lists_for_people_and_programs(system, job_file):
    job = system.cli("job", "run", "--id-only", job_file("listed")).stdout.strip()
    assert system.cli("job", "list", "--limit", 0).stdout.splitlines()[0].split() == [
        "CREATED",
        "ID",
        "NAME",
        "JOB",
        "TYPE",
        "STATE",
    ]
    row = system.cli("job", "list", "--order-by", "created_at", "--order-reversed", "--limit", 1, "--output", "csv")
    assert row.stdout.splitlines()[0] == "created,id,name,job,type,state"
    assert (
        row.stdout.splitlines()[1].split(",")[1:] == [job, "listed", "docker", "batch", "Completed"]
        and len(row.stdout.splitlines()) == 2
    )
    assert (
        plain(system.cli("job", "executions", job, "--output", "csv").stdout).splitlines()[0]
        == "Created,Modified,ID,Job Version,Node ID,Rev.,State,Desired"
    )
    history = system.cli("job", "history", job, "--event-type", "job", "--output", "csv").stdout.splitlines()
    assert history[0] == "Time,Level,Job Version,Exec. ID,Topic,Event"
    assert [line.split(",", 4)[4] for line in history[1:]] == [
        "Submission,Job submitted",
        "State Update,Running",
        "State Update,Completed",
    ]
    everything = json.loads(system.cli("job", "history", job, "--output", "json").stdout)
    assert [item["SeqNum"] for item in everything] == sorted(item["SeqNum"] for item in everything)
    assert system.cli("job", "list", "--labels", "nope=1").stdout == " CREATED  ID  NAME  JOB  TYPE  STATE \n"


def test_the_next_page(system, job_file):
    for number in range(3):
        system.cli("job", "run", "--id-only", "--wait=false", job_file(f"page-{number}"))
    first = system.cli("job", "list", "--limit", 2)
    command = first.stdout.splitlines()[-1].strip()
    assert first.stdout.splitlines()[-2] == "To fetch more records use:" and command.startswith(
        "bacalhau job list --limit 2 --next-token "
    )
    second = system.cli(*command.split()[1:])
    assert len(second.stdout.splitlines()) >= 2 and second.stdout.splitlines()[1] not in first.stdout
    machine = system.cli("job", "list", "--limit", 2, "--output", "json")
    assert len(json.loads(machine.stdout)) == 2 and "next-token" in machine.stderr


def test_logs_are_one_stream(system, job_file):
    job = system.cli("job", "run", "--id-only", job_file("logged", "echo out; echo err >&2")).stdout.strip()
    done = system.cli("job", "logs", job)
    assert sorted(done.stdout.splitlines()) == ["err", "out"] and done.stderr == ""


def test_stop(system, job_file):
    system.cli("job", "run", "--wait=false", job_file("stopped", "sleep 60"))
    done = system.cli("job", "stop", "stopped")
    assert plain(done.stdout).splitlines()[-1] == "Job stop successfully submitted with evaluation ID: UUID"
    again = system.cli("job", "stop", "stopped", code=1)
    assert again.stderr == "Error: Job is already in a terminal state.\nThe current state is: Stopped\n"


def test_get_nothing_and_something(system, job_file, run, tmp_path):
    system.cli("job", "run", "--id-only", job_file("unpublished"))
    nothing = system.cli("job", "get", "unpublished")
    assert nothing.stdout.startswith("No results found\n") and "bacalhau job logs unpublished" in nothing.stdout
    job = run("echo 1 > /outputs/a")
    assert (
        system.cli("job", "get", job, cwd=tmp_path).stdout
        == f"Results for job '{job}' have been written to...\n{tmp_path}/job-{job}\n"
    )
    again = system.cli("job", "get", job, "--output-dir", tmp_path / f"job-{job}", code=1)
    assert again.stderr.splitlines()[1].startswith(
        f"Error: cannot merge results as output already exists: {tmp_path}/job-{job}/exitCode. Try --raw"
    )


def test_nodes(system):
    table = system.cli("node", "list").stdout.splitlines()
    assert table[0].split() == ["ID", "TYPE", "APPROVAL", "STATUS", "LABELS", "CPU", "MEMORY", "DISK", "GPU"]
    assert (
        system.cli("node", "list", "--output", "csv").stdout.splitlines()[0]
        == "id,type,approval,status,labels,cpu,memory,disk,gpu"
    )
    (node,) = json.loads(system.cli("node", "list", "--output", "json", "--filter-status", "connected").stdout)
    assert (
        json.loads(system.cli("node", "describe", node["Info"]["NodeID"][:10], "--output", "json").stdout)["Info"][
            "NodeID"
        ]
        == node["Info"]["NodeID"]
    )
    wide = system.cli("node", "list", "--show", "version,features", "--hide-header", "--wide").stdout
    assert "v1.9.3" in wide and "docker" in wide and "ipfs" in wide
    assert system.cli("node", "list", "--labels", "os_type=windows", "--hide-header").stdout == ""
    assert "found '=', expected: identifier" in system.cli("node", "list", "--labels", "a===", code=1).stderr


def test_the_agent(system):
    assert system.cli("agent", "alive").stdout == "Status: OK\n"
    assert system.cli("agent", "alive", "--output", "json").stdout == '{"Status":"OK"}\n'
    assert system.cli("agent", "version").stdout.startswith("Bacalhau v1.9.3\nBuildDate ")
    assert json.loads(system.cli("agent", "node", "--output", "json").stdout)["NodeType"] == "Compute"


def test_configuration(system, tmp_path):
    own = {"BACALHAU_DIR": str(tmp_path / "data"), "BACALHAU_API_PORT": "", "BACALHAU_API_HOST": ""}
    assert (
        system.cli("config", "set", "api.port=4321", **own).stdout == f"Writing config to {tmp_path}/data/config.yaml\n"
    )
    assert (tmp_path / "data/config.yaml").read_text() == "API:\n  Port: 4321\n"
    assert "http://127.0.0.1:4321: connection refused" in system.cli("list", code=1, **own).stderr
    bad = system.cli("config", "set", "api.port", "abc", code=1, **own)
    assert bad.stdout == "" and 'config key: "API.Port" expects an integer value, received: "abc"' in bad.stderr
    rows = json.loads(system.cli("config", "list", "--output", "json", **own).stdout)
    assert [row["Key"] for row in rows] == sorted(row["Key"] for row in rows)
    assert {k: v for k, v in next(r for r in rows if r["Key"] == "API.Port").items() if k != "Description"} == {
        "Key": "API.Port",
        "Value": 4321,
    }


def test_a_job_is_deleted_with_what_it_published(system, run):
    job_id = run("head -c 300000 /dev/urandom > /outputs/noise", "-p", "ipfs")
    deleted = plain(system.cli("job", "delete", job_id).stdout)
    assert deleted.startswith("Job j-UUID was deleted; 3") and deleted.endswith(" kB of content were freed.\n")
    assert "not found" in system.cli("job", "describe", job_id, code=1).stderr
    assert "not found" in system.cli("job", "delete", job_id, code=1).stderr


def test_what_the_server_keeps_on_its_disk(system):
    lines = system.cli("agent", "storage").stdout.splitlines()
    assert lines[0].split() == ["WHAT", "USED", "LIMIT", "FILES", "WHERE"]
    assert any("results published to IPFS" in line and "/orchestrator/content" in line for line in lines)
