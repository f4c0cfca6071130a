"""Jobs that are looked at before they run, changed, and run again: templates, dry runs, explanations, reruns, exit
codes.
"""

import json

import yaml


def test_a_template_is_filled_in(system, job_file):
    path = job_file("templated", "echo {{.greeting}} {{.name}}")
    job = system.cli(
        "job", "run", "--id-only", "-V", "greeting=Hello,name=nobody", "--template-vars", "name=World", path
    ).stdout.strip()
    assert system.cli("job", "logs", job).stdout == "Hello World\n"
    again = system.cli(
        "job", "run", "--id-only", "--template-envs", "^(greeting|name)$", path, greeting="Hi", name="env"
    ).stdout.strip()
    assert again == job and system.cli("job", "logs", job).stdout == "Hi env\n"
    missing = system.cli("job", "run", path, code=1)
    assert missing.stderr.startswith(
        'Error: failed to execute template: map has no entry for key "greeting"\nHint:  give values with -V'
    )
    plain = yaml.safe_load(system.cli("job", "run", "--dry-run", "--no-template", path, BACALHAU_API_PORT="1").stdout)
    assert plain["Tasks"][0]["Engine"]["Params"]["Parameters"][2] == "echo {{.greeting}} {{.name}}"


def test_a_dry_run_tells_what_would_change(system, job_file):
    path = job_file("compared", "echo one")
    new = system.cli("job", "run", "--dry-run", path)
    assert yaml.safe_load(new.stdout)["Name"] == "compared" and "new job" in new.stderr
    assert "Next State = Running" in new.stderr and f" {system.node_id[:10]}  yes " in new.stderr
    system.cli("job", "run", "--id-only", path)
    assert system.cli("job", "run", "--dry-run", path).stderr == "Warning: No diff detected.\n"
    changed = system.cli("job", "run", "--dry-run", job_file("compared", "echo two"))
    assert (
        "echo one" in changed.stdout
        and "echo two" in changed.stdout
        and f" {system.node_id[:10]}  yes " in changed.stderr
    )
    away = system.cli("job", "run", "--dry-run", path, BACALHAU_API_PORT="1")
    assert (
        away.stderr.startswith("Error: failed to fetch Job spec: cannot reach")
        and "Warning: falling back to offline mode..." in away.stderr
    )
    assert yaml.safe_load(away.stdout)["Name"] == "compared"
    path.write_text(path.read_text().replace("Type: batch", "Type: bach"))
    wrong = system.cli("job", "run", "--dry-run", path, code=1)
    assert wrong.stdout == "" and wrong.stderr.startswith(
        'Error: the job provided is invalid: invalid job type: "bach"'
    )


def test_a_job_is_run_again(system, job_file):
    job = system.cli("job", "run", "--id-only", job_file("rerun", "echo one")).stdout.strip()
    system.cli("job", "run", "--id-only", job_file("rerun", "echo two"))
    again = system.cli("job", "rerun", "rerun", "--version", "1")
    assert (
        again.stdout.startswith(f"Job successfully submitted. Job ID: {job}\n")
        and "Completed successfully" in again.stdout
    )
    assert system.cli("job", "logs", job).stdout == "one\n"
    versions = json.loads(system.cli("job", "versions", job, "--output", "json").stdout)
    assert [version["Version"] for version in versions] == [1, 2, 3]
    assert len(json.loads(system.cli("job", "executions", job, "--all-versions", "--output", "json").stdout)) == 3


def test_the_exit_code_of_the_job(system, job_file):
    path = job_file("coded", "exit 7")
    assert (
        system.cli("job", "run", path, code=0).stderr.rstrip().endswith(f"exited with code 7 on {system.node_id[:10]}")
    )
    system.cli("job", "rerun", "--exit-code", "coded", code=7)
    system.cli("docker", "run", "--id-only", system.image, "--", "sh", "-c", "exit 5", code=5, BACALHAU_EXIT_CODE="1")
    system.cli("docker", "run", "--exit-code", system.image, "--", "true")
    refused = system.cli("docker", "run", "--exit-code", "--wait=false", system.image, code=1)
    assert refused.stderr == "Error: --exit-code needs the job to end: it cannot be used with --wait=false\n"


def test_events_in_groups(system):
    lines = system.cli("docker", "run", "--group-events", system.image, "--", "true").stdout.splitlines()
    assert (
        [line.split()[0] for line in lines[3:5]] == ["TIME", lines[4].split()[0]]
        and "Completed successfully" in lines[4]
        and lines[5] == ""
    )


def test_what_would_run_where(system, job_file):
    shown = system.cli("job", "explain", job_file("explained")).stdout
    assert shown.startswith("Job        = not submitted\nNext State = ") and f" {system.node_id[:10]}  yes " in shown
    large = job_file("large")
    large.write_text(large.read_text() + "  Resources: {CPU: 512}\n")
    assert f" {system.node_id[:10]}  never     needs 512 CPU" in system.cli("job", "explain", large).stdout
    job = system.cli("job", "run", "--id-only", job_file("explained")).stdout.strip()
    told = json.loads(system.cli("job", "explain", job, "--output", "json").stdout)
    assert (told["JobID"], told["JobVersion"]) == (job, 1) and told["Nodes"][0]["NodeID"] == system.node_id
    assert (
        system.cli("job", "explain", "j-nope", code=1).stderr
        == "Error: job not found: j-nope\nHint:  there is no job file of that name here, either\n"
    )


def test_a_module_is_refused_where_no_engine_runs_it(system, tmp_path):
    (tmp_path / "m.wasm").write_bytes(b"\0asm\1\0\0\0")
    done = system.cli("wasm", "run", tmp_path / "m.wasm", code=None)
    assert done.returncode == 1 and "wasm" in done.stderr.splitlines()[0]
