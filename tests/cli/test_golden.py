"""Every recorded command of both generations, run again against our own server: exit code, which stream says what, the
shape of documents.

Where ours differs on purpose, DEPARTURES says why and what ours says instead.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.replay import Replay, document, missing, told
from tests.support.system import System

CASES = {
    f"{case['generation']} {case['name']}": case
    for case in map(json.loads, Path(__file__).with_name("golden.jsonl").read_text().splitlines())
}

TASK = '- Name: %s\n  Engine: {Type: docker, Params: {Image: "127.0.0.1:5000/alpine", Parameters: %s}}\n'
TRUE = TASK % ("main", "['true']")
SLEEP, LONGER = TASK % ("main", "[sleep, '100']"), TASK % ("main", "[sleep, '101']")
SEED = """APIVersion: V1beta2
Spec:
  EngineSpec: {Type: %s, Params: {Image: "127.0.0.1:5000/alpine", Entrypoint: [echo, fromyaml]}}
  PublisherSpec: {Type: ipfs}
  Deal: {Concurrency: 1}
"""
FILES = {
    "job.yaml": CASES["v1.9.3 job-run-stdin"]["stdin"],
    "lower.yaml": (
        "name: lower\ntype: batch\ntasks:\n- name: main\n  engine: {type: docker, params: {image:"
        " '127.0.0.1:5000/alpine', parameters: ['true']}}\n"
    ),
    "bad1.yaml": "Type: nope\n",
    "bad2.yaml": f"Type: batch\nCount: -1\nTasks:\n{TRUE}",
    "bad3.yaml": "{[",
    "bad4.yaml": f"Namee: x\nType: batch\nTasks:\n{TRUE}",
    "two.yaml": f"Type: batch\nTasks:\n{TRUE}{TASK % ('second', '[x]')}",
    "noop.json": '{"Type": "batch", "Tasks": [{"Name": "main", "Engine": {"Type": "nothing"}}]}',
    "svc.yaml": f"Name: svc\nType: service\nTasks:\n{SLEEP}",
    "svc2.yaml": f"Name: svc\nType: service\nTasks:\n{LONGER}",
    "daemon.yaml": f"Name: dmn\nType: daemon\nTasks:\n{SLEEP}",
    "ops.yaml": f"Name: opsjob\nType: ops\nTasks:\n{TASK % ('main', '[echo, ops]')}",
    "j122.yaml": SEED % "docker",
    "j122b.yaml": SEED % "docker",
    "j122bad.yaml": SEED % "nothing",
}
RUN = ["docker", "run", "--id-only"]
IMAGE, S3 = "127.0.0.1:5000/alpine", "opt=region=us-east-1,opt=endpoint=http://127.0.0.1:8333"
# Jobs of runs that were not kept, which later commands name.
STAND_INS = {
    "j-030b8af3-103f-4729-8ad9-d960f762e92e": ["job", "run", "--id-only", "job.yaml"],
    "j-37cab706-d597-4b4a-b11d-ac45fd630742": [
        *RUN,
        IMAGE,
        "--",
        "sh",
        "-c",
        "echo hello > /outputs/h.txt; echo out; echo err >&2",
    ],
    "j-f56a620e-245c-4429-be6b-c0a1580f1593": ["job", "run", "--id-only", "ops.yaml"],
    "j-519fbbc6-c64a-4223-9f84-4f160918a502": [
        *RUN,
        "-p",
        f"s3://results/cc-{{jobID}},opt=compress=true,{S3}",
        IMAGE,
        "--",
        "true",
    ],
    "265ee4b2-c3c2-41b8-b066-9e9c7379908b": [*RUN, "-p", f"s3://results/s-{{jobID}},{S3}", IMAGE, "--", "true"],
    "dbb75833-db88-4f3f-ba26-2fa0ee8800fa": [*RUN, IMAGE, "--", "sh", "-c", "echo out; echo err >&2; exit 3"],
}
# What was done between two recordings and was not recorded.
BEFORE = {"v1.2.2 cancel-again": ["cancel", "c4da0dad-5518-425c-9280-b997cb0cd1a8"]}

NOT_RUN = {
    "v1.2.2 help": "the text of help is our own",
    "v1.9.3 root-nocmd": "the text of help is our own",
    "v1.9.3 docker-run-no-image": "asks a registry outside this machine",
    "v1.9.3 job-run-two": "asks a registry outside this machine; its warning is in job-validate-two",
    "v1.9.3 ipfs-in": "reads content of an IPFS node that is not here",
    "v1.9.3 url-in": "reads a gateway that is not here",
    "v1.9.3 local-in": "reads a folder of that machine",
    "v1.9.3 local-denied": "whether a path is allowed is tried with the local source",
}


class Ours(NamedTuple):
    """Patterns of what ours says, and why it differs. An empty pattern is silence, None anything."""

    why: str
    code: int = 0
    out: str | None = None
    err: str | None = None


QUIET = "an update message has its column only where there is one"
STEPS = "docker run tells the tutorial's steps, whichever generation asks, and publishes to IPFS by default"
RAN = Ours(
    STEPS, 0, r"Communicating with the network \.+ done ✅ [\s\S]*Job in progress \.+ done ✅ [\s\S]*bacalhau get"
)
FAILS = "exit 1 when the job failed"
ELSEWHERE = "another machine with another capacity"
NODES = Ours(ELSEWHERE, 0, r"^(ID TYPE APPROVAL STATUS LABELS|NAME Compute APPROVED CONNECTED name=NAME)")
WHOLE = "describe and list tell the time limit only where there is one, resources and network as they are"
SEED_FLAG = "every wrong flag is named, with its value and what to write"
CRASH = "the original crashed"
OWN_LIST = "other jobs are on our server, and their results are named"
FILE = "problems are on stderr, once"

DEPARTURES = {
    "v1.2.2 version": Ours(QUIET, 0, "^CLIENT SERVER\nVERSION VERSION$", ""),
    "v1.9.3 version": Ours(QUIET, 0, "^CLIENT SERVER\nVERSION VERSION$", ""),
    "v1.9.3 version-client": Ours(QUIET, 0, "^CLIENT\nVERSION$", ""),
    "v1.2.2 tutorial-list": Ours(OWN_LIST, 0, "Completed ipfs://QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa$", ""),
    "v1.2.2 tutorial-list-narrow": Ours(
        OWN_LIST, 0, "Completed ipfs://QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa\n", ""
    ),
    "v1.2.2 list": Ours(OWN_LIST, 0, "^CREATED ID JOB STATE PUBLISHED\nCLOCK NAME ", ""),
    "v1.2.2 list-all": Ours(OWN_LIST, 0, "^CREATED ID JOB STATE PUBLISHED\nCLOCK NAME ", ""),
    "v1.2.2 list-sort": Ours(OWN_LIST, 0, "^CLOCK NAME ", ""),
    "v1.2.2 tutorial-get-path": Ours(
        "the whole argument is named",
        1,
        "",
        r"job 'NAME/stdout'\.\.\.\nerror downloading job: cannot merge results .* DIR/stdout\.",
    ),
    "v1.2.2 run-follow": Ours(CRASH, 0, "\nhello$", ""),
    "v1.2.2 logs-done": Ours(CRASH, 0, "", ""),
    "v1.2.2 logs-unknown": Ours(CRASH, 1, "", "^Error: job not found: nope$"),
    "v1.2.2 run-s3-nobucket": Ours(
        CRASH, 1, "", 'invalid argument "s3://" for "-p, --publisher" flag: invalid s3 params. bucket cannot be empty'
    ),
    "v1.2.2 run-dry": Ours("today's job file, which job run and create both take", 0, "^Constraints: "),
    "v1.2.2 run-exit3": Ours("an exit code that is not 0 is told", 0, RAN.out, "NAME exited with code 3 on NAME"),
    "v1.2.2 run-bad-input": Ours(SEED_FLAG, 1, "", "unknown storage schema: none in 'foo'"),
    "v1.9.3 docker-run-bad-input": Ours(SEED_FLAG, 1, "", "unknown storage schema: none in 'foo'"),
    "v1.2.2 run-bad-env": Ours(SEED_FLAG, 1, "", "A must be formatted as key=value"),
    "v1.2.2 run-bad-output": Ours(
        SEED_FLAG, 1, "", 'invalid argument "x" for "-o, --output" flag: invalid output volume: x'
    ),
    "v1.2.2 run-bad-cpu": Ours(
        SEED_FLAG, 1, "", "task main validation failed: invalid resources: invalid CPU value: abc"
    ),
    "v1.2.2 run-bad-network": Ours(SEED_FLAG, 1, "", "models.Network: unknown type 'zzz'"),
    "v1.2.2 run-bad-opt": Ours(SEED_FLAG, 1, "", 'unknown option "nope" for storage s3'),
    "v1.9.3 docker-run-dup-target": Ours(
        "says what to write", 1, "", "input source with target '/x' already exists: give each input a target of its own"
    ),
    "v1.9.3 docker-run-bad-label": Ours(
        SEED_FLAG, 1, "", 'flag: received invalid job labels: key: Invalid value: "a b": name part must consist of'
    ),
    "v1.2.2 run-no-cmd": Ours(
        FAILS,
        1,
        "Job in progress .* err ❌",
        'Error: failed to start container: executable file not found: exec: "nonexistent"',
    ),
    "v1.2.2 run-too-much": Ours(FAILS, 1, "err ❌", "Error: needs 64 CPU, has 8"),
    "v1.2.2 run-s3-noendpoint-bucket": Ours(FAILS, 1, "err ❌", "Error: s3: bucket nosuch does not exist"),
    "v1.2.2 validate-j122b": Ours("one validator for validate and create", 0, "^The Job is valid$", ""),
    "v1.2.2 create-j122bad": Ours(
        "refused before it is submitted", 1, "", "invalid engine: unknown engine type 'nothing'"
    ),
    "v1.2.2 create-missing": Ours(
        "one text for a file that is not there",
        1,
        "",
        r'^Error: opening job file \("nofile.yaml"\): no such file or directory$',
    ),
    "v1.2.2 get-unknown": Ours("not the raw answer of the server", 1, "", "error downloading job: job not found: nope"),
    "v1.2.2 cancel-unknown": Ours("today's words", 1, "Verifying job state .* err ❌", "^Error: job not found: nope$"),
    "v1.2.2 job-describe": Ours("as today's generation", 0, "Job History\nTIME TOPIC EVENT\n", ""),
    "v1.2.2 job-list": Ours("as today's generation", 0, "^CREATED ID NAME JOB TYPE STATE\n", ""),
    "v1.2.2 job-history": Ours("as today's generation", 0, "^TIME LEVEL JOB VERSION EXEC. ID TOPIC EVENT\n", ""),
    "v1.2.2 noserver": Ours(
        "who is away and what to do",
        1,
        "",
        "^Error: cannot reach the orchestrator at SERVER: connection refused\nHint: ",
    ),
    "v1.9.3 noserver": Ours(
        "who is away and what to do",
        1,
        "",
        "^Error: cannot reach the orchestrator at SERVER: connection refused\nHint: ",
    ),
    "v1.9.3 node-list": NODES,
    "v1.9.3 node-list-csv": Ours(
        ELSEWHERE,
        0,
        "^id,type,approval,status,labels,cpu,memory,disk,gpu\nNAME,Compute,APPROVED,CONNECTED,name=NAME os_arch=",
    ),
    "v1.9.3 node-list-nostyle": NODES,
    "v1.9.3 node-list-label": NODES,
    "v1.9.3 node-list-capacity": Ours(
        ELSEWHERE,
        0,
        "^ID TYPE APPROVAL STATUS LABELS VERSION ARCHITECTURE OS ENGINES INPUTS FROM OUTPUTS CPU MEMORY DISK GPU\n",
    ),
    "v1.9.3 docker-run-wait": RAN,
    "v1.9.3 docker-run-dry": Ours("without what only the server sets, so that job run takes it", 0, "^Constraints: "),
    "v1.9.3 docker-run-bad-s3-publisher": Ours(
        "refused before it is submitted", 1, "", "invalid s3 params. bucket cannot be empty"
    ),
    "v1.9.3 docker-run-constraint-none": Ours(
        FAILS,
        1,
        "err ❌",
        "^Flag --selector has been deprecated, use --constraints\nError: label os_type is",
    ),
    "v1.9.3 docker-run-timeout": Ours(FAILS, 1, "err ❌", "^Error: timed out after 1 s"),
    "v1.9.3 s3pub-nobucket-get": Ours("that folder was emptied before", 1, "", "cannot merge results"),
    "v1.9.3 s3pub-compress-get": Ours("that folder was emptied before", 1, "", "cannot merge results"),
    "v1.9.3 s3in-nobucket": Ours("the storage's own error", 1, None, "^Error: s3: bucket nosuch does not exist"),
    "v1.9.3 s3in-nokey": Ours("the storage's own error", 1, None, "^Error: s3: no object zzz in bucket noaa-goes16"),
    "v1.9.3 s3in-empty": Ours(
        "an input that matches nothing is an error",
        1,
        None,
        "^Error: s3: nothing matches prefix 'zzz' in bucket noaa-goes16",
    ),
    "v1.9.3 s3in-checksum": Ours("the option is understood", 1, "", "checksumSHA256 'AAAA' is no SHA-256"),
    "v1.9.3 job-run-stdin": Ours("a prompt is for terminals", 1, "", "^Error: no changes detected for new job spec"),
    "v1.9.3 job-validate-bad1": Ours(FILE, 1, "", 'invalid job type: "nope" .*\nmissing job tasks'),
    "v1.9.3 job-run-bad1": Ours(
        "says which types there are", 1, "", 'invalid job type: "nope" \\(use one of .*\\)\nmissing job tasks'
    ),
    "v1.9.3 job-run-bad2": Ours("the value is named", 1, "", "job count must be >= 0, not -1"),
    "v1.9.3 job-run-bad3": Ours(
        "line and column", 1, "", "broken YAML at line 2, column 1: did not find expected node content"
    ),
    "v1.9.3 job-validate-bad3": Ours(
        FILE, 1, "", "broken YAML at line 2, column 1: did not find expected node content"
    ),
    "v1.9.3 job-run-bad4": Ours("with a guess", 1, "", r"unknown field: 'Namee' in 'Job' \(did you mean 'Name'\?\)"),
    "v1.9.3 job-validate-bad4": Ours(FILE, 1, "", r"unknown field: 'Namee' in 'Job' \(did you mean 'Name'\?\)"),
    "v1.9.3 job-run-noop": Ours(
        "refused before it is submitted", 1, "", "invalid engine: unknown engine type 'nothing'"
    ),
    "v1.9.3 svc-update": Ours(
        "the story goes on until the new version runs", 0, "Submission Job updated\nCLOCK NAME Scheduling "
    ),
    "v1.9.3 svc-update-force": Ours(
        "the story goes on until the new version runs", 0, "Submission Job updated\nCLOCK NAME Scheduling "
    ),
    "v1.9.3 svc-history": Ours(
        "the order of the two executions' steps differs",
        0,
        "Submission Job updated\n[\\s\\S]*Job requested to stop before completion\n",
        "",
    ),
    "v1.9.3 job-list": Ours(
        OWN_LIST,
        0,
        "^CREATED ID NAME JOB TYPE STATE\n[\\s\\S]*To fetch more records use:\nbacalhau job list --limit 10"
        " --next-token TOKEN$",
    ),
    "v1.9.3 job-list-csv": Ours(
        "the way to the next page is on stderr",
        0,
        "^created,id,name,job,type,state\nTIME,NAME,",
        "^To fetch more records use:",
    ),
    "v1.9.3 job-list-limit": Ours(
        OWN_LIST, 0, "^CREATED ID NAME JOB TYPE STATE\n[\\s\\S]*bacalhau job list --limit 2 --next-token TOKEN$", ""
    ),
    "v1.9.3 job-list-order": Ours("id is a key to sort by", 0, "^created,id,name,job,type,state\nTIME,NAME,"),
    "v1.9.3 job-list-badorder": Ours(
        "the key is named", 1, "", "'order_by' must be one of created_at, id, modified_at, not 'foo'"
    ),
    "v1.9.3 job-logs-unknown": Ours("the root cause alone", 1, "", "^Error: job not found: j-nope$"),
    "v1.9.3 config-set": Ours("notices are on stderr", 0, "^Writing config to DIR/config.yaml$", "^DEPRECATED: "),
    "v1.9.3 config-set-badvalue": Ours(
        "checked before anything is said of writing", 1, "", '"API.Port" expects an integer value, received: "abc"'
    ),
    "v1.9.3 ipfs-get-path": Ours(
        "only that file is fetched",
        1,
        "",
        r"job 'NAME/outputs/h.txt'\.\.\.\nError: cannot merge results .* DIR/outputs/h.txt\.",
    ),
}
NO_EFFECT = "a setting that has no effect here is not told"
# Keys of documents that ours leaves out.
ABSENT = {
    "bacalhau.org/client.instance.id": "clients have one id here, that of the installation",
    "bacalhau.org/server.instance.id": "servers have one id here, the node's",
    "Timeout": "our server sets no limit of its own",
    "TimeoutAt": "our server sets no limit of its own",
    "Architecture": "today's labels: os_arch",
    "Operating-System": "today's labels: os_type",
    "git-lfs": "no source here needs it",
    "Orchestrator.Scheduler": NO_EFFECT,
    "Orchestrator.EvaluationBroker": NO_EFFECT,
    "Engines.Types": NO_EFFECT,
    "LogDebugInfoInterval": NO_EFFECT,
    "WebUI": NO_EFFECT,
    "DisableAnalytics": NO_EFFECT,
    "AllowListedLocalPaths": "lists that are empty are not told",
    "IPFS.Endpoint": "other settings on that machine",
    "Message": "a state says something where there is something to say",
}


@pytest.fixture(scope="module")
def answers(anyio_backend, docker_url, docker_image, s3, tmp_path_factory):
    image = docker_image if ":" in docker_image else f"{docker_image}:latest"
    folder = tmp_path_factory.mktemp("golden")
    work = folder / "work"
    work.mkdir()
    for name in ("results", "res", "ires", "pres"):
        (work / name).mkdir()
    for name, text in FILES.items():
        (work / name).write_text(text.replace(IMAGE, image))
    with System(folder, docker_url, image=image, settings={"Compute.AllocatedCapacity.CPU": 8}) as system:
        replay = Replay(work, image, s3.url, system.client_environment)
        for recorded, args in STAND_INS.items():
            replay.ids[recorded] = replay.run({"args": args, "stdin": "", "stdout": ""}).stdout.strip()
        done = {}
        for name, case in CASES.items():
            if name in BEFORE:
                replay.run({"args": BEFORE[name], "stdin": "", "stdout": ""})
            if name not in NOT_RUN:
                done[name] = replay.run(case)
        yield done


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_RUN and name not in DEPARTURES])
def test_as_the_original(name, answers):
    case, ours = CASES[name], answers[name]
    assert ours.code == case["rc"], ours.stderr
    for stream in ("stdout", "stderr"):
        theirs, said = case[stream], getattr(ours, stream)
        expected = document(theirs)
        if expected is None:
            first, second = told(theirs, said)
            assert second == first
        else:
            assert [
                path
                for path in missing(expected, document(said))
                if path.rpartition(".")[2] not in ABSENT and not any(key in path for key in ABSENT)
            ] == []


@pytest.mark.parametrize("name", DEPARTURES)
def test_departures(name, answers):
    ours, wanted = answers[name], DEPARTURES[name]
    assert ours.code == wanted.code, ours.stderr
    for said, pattern in ((ours.stdout, wanted.out), (ours.stderr, wanted.err)):
        if pattern is not None:
            text = "\n".join(told("Hint:", said)[1])
            assert re.search(pattern, text) if pattern else text == ""


def test_the_tables_name_recordings():
    assert {*DEPARTURES, *NOT_RUN, *BEFORE} <= CASES.keys()
    assert not DEPARTURES.keys() & NOT_RUN.keys()
