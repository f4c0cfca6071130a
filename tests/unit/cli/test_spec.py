"""Flags of `docker run` as a job."""

import click
import pytest

from bacalhau.cli.job.docker import DockerRun
from bacalhau.cli.job.docker import run as docker_run
from bacalhau.cli.spec.flags import job_of_flags
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import ResultPath


def job(*args):
    ctx = docker_run.make_context("run", list(args))
    return job_of_flags(DockerRun(**ctx.params), ctx.args)


def test_the_tutorial():
    made = job(
        "-i",
        "s3://b/k*:/inputs,opt=region=us-east-1",
        "--id-only",
        "--wait",
        "alpine",
        "--",
        "sh",
        "-c",
        "cp -r /inputs/* /outputs/",
    )
    task = made.task
    assert (made.type, made.count, task.name) == ("batch", 1, "main")
    assert task.engine.params["Image"] == "alpine" and task.engine.params["Parameters"] == [
        "sh",
        "-c",
        "cp -r /inputs/* /outputs/",
    ]
    assert task.publisher.type == "ipfs" and task.network is None
    assert task.result_paths == (ResultPath(name="outputs", path="/outputs"),)
    assert task.input_sources[0].source.params["Region"] == "us-east-1"


def test_both_generations_of_flags():
    made = job(
        "--concurrency",
        "3",
        "-s",
        "a=b",
        "-l",
        "tag,k=v",
        "--timeout",
        "5",
        "-e",
        'A=x,"B=y,z"',
        "--cpu",
        "2",
        "-o",
        "logs:/var/log",
        "i",
    )
    assert made.count == 3 and made.constraints[0].key == "a" and made.labels == {"tag": "", "k": "v"}
    assert made.task.timeouts.total_timeout == 5
    assert made.task.env == {"A": "x", "B": "y,z"}
    assert made.task.resources.cpu == "2"
    assert [r.path for r in made.task.result_paths] == ["/outputs", "/var/log"]
    assert job("--count", "2", "--constraints", "a=b", "i").constraints == made.constraints


def test_files_from_the_web_stand_side_by_side_where_no_target_or_the_same_is_given():
    made = job("-i", "https://h/a.txt", "-i", "https://h:9/d/b.txt?x:/inputs/", "-i", "https://h/c:/c", "alpine")
    assert [(item.target, item.source.params.get("AsFile", False)) for item in made.task.input_sources] == [
        ("/inputs/a.txt", True),
        ("/inputs/b.txt", True),
        ("/c", False),
    ]


def test_outputs_under_another_name():
    assert job("-o", "results:/outputs", "i").task.result_paths == (ResultPath(name="results", path="/outputs"),)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-i", "foo"], 'invalid argument "foo" for "-i, --input" flag: unknown storage schema'),
        (
            ["-i", "s3://b/k,opt=nope=1"],
            'invalid argument "s3://b/k,opt=nope=1" for "-i, --input" flag: unknown option "nope" for storage s3',
        ),
        (
            ["-p", "gopher://x"],
            'invalid argument "gopher://x" for "-p, --publisher" flag: unknown publisher type: gopher',
        ),
        (["-e", "A"], 'invalid argument "A" for "-e, --env" flag: A must be formatted as key=value'),
        (["-o", "x"], 'invalid argument "x" for "-o, --output" flag: invalid output volume: x'),
        (["-l", "a b"], "received invalid job labels"),
        (["--network", "zzz"], "models.Network: unknown type 'zzz'"),
        (["--target", "all", "--count", "2"], "--count 2 cannot be kept"),
        (["-s", "a==="], 'for "-s, --selector" flag: unable to parse requirement'),
        (["--workdir", "x"], "workdir must be an absolute path. Passed in: x"),
        (["--count", "1", "--concurrency", "1"], "two names of one thing"),
        (["-s", "a", "--constraints", "b"], "two names of one thing"),
    ],
)
def test_refusals(args, message):
    with pytest.raises((BadRequest, click.UsageError)) as caught:
        job(*args, "image")
    assert message in caught.value.message


def test_extras_of_a_container_are_in_the_job_only_where_they_are_asked_for():
    flags = ["--shm-size", "2Gb", "--tmpfs", "/run:size=64Mb,mode=700", "--ulimit", "memlock=-1", "--ulimit", "core=0"]
    params = job(*flags, "image").task.engine.params
    assert (params["ShmSize"], params["Tmpfs"]) == ("2Gb", ["/run:size=64Mb,mode=700"])
    assert params["Ulimits"] == ["memlock=-1", "core=0"]
    assert not {"ShmSize", "Tmpfs", "Ulimits"} & job("image").task.engine.params.keys()
