"""`bacalhau node cache`: what a node keeps of inputs is shown and removed, at the API of the node itself."""

import json

import pytest

from tests.support.ports import free_port
from tests.support.system import System, s3_input

NO_DOCKER = "tcp://127.0.0.1:1"


@pytest.fixture(scope="module", params=["one process", "a process of its own"])
def node(request, anyio_backend, tmp_path_factory):
    """A node, and `ask`, which calls a command at its API."""
    own, split = free_port(), request.param != "one process"
    settings = {"API.Port": own} if split else {}
    with System(tmp_path_factory.mktemp("cache"), NO_DOCKER, split=split, settings=settings) as system:

        def ask(*args, code=0):
            port = {"BACALHAU_API_PORT": str(own)} if split else {}
            return system.cli("node", "cache", *args, code=code, **port)

        system.ask = ask
        yield system


def run(system, *inputs, sleep=0):
    engine = {"Type": "noop", "Params": {"Sleep": sleep}}
    task = {"Name": "main", "Engine": engine, "InputSources": list(inputs)}
    return system.client.submit({"Type": "batch", "Count": 1, "Tasks": [task]})


def listed(system):
    return json.loads(system.ask("list", "--output", "json").stdout)


def test_what_is_kept_is_listed_and_removed(anyio_backend, node, s3, bucket):
    s3.fill(bucket, {f"{name}/k": b"x" * size for name, size in (("a", 1000), ("b", 2000), ("c", 4000))})
    inputs = {name: s3_input(s3.url, bucket, f"{name}/") for name in "abc"}
    for name in "ab":
        assert node.client.wait(run(node, inputs[name]), 60).state.state_type == "Completed"
    holds = run(node, inputs["c"], sleep=3600)
    node.until_event(holds, lambda item: "unning" in f"{item.execution_state}{item.event.message}")
    found = {item["Name"]: (item["Bytes"], item.get("Pinned", False)) for item in listed(node)}
    place = f"{s3.url}/{bucket}"
    assert found == {f"{place}/a/k": (1000, False), f"{place}/b/k": (2000, False), f"{place}/c/k": (4000, True)}
    shown = node.ask("list")
    assert shown.stdout.split()[:6] == ["NAME", "SIZE", "LAST", "USED", "IN", "USE"]
    assert "compute/cache" in shown.stderr and shown.stderr.startswith("7.0 kB of ")
    page = node.ask("list", "--limit", "1", "--output", "csv")
    token = page.stderr.split()[-1]
    assert f"{place}/a/k" in page.stdout
    assert f"{place}/b/k" in node.ask("list", "--limit", "1", "--output", "csv", "--next-token", token).stdout
    assert node.ask("prune", "--older-than", "1h").stdout == "Removed 0 inputs, 0 B; 7.0 kB are left\n"
    assert node.ask("prune", "--size", "6kb").stdout == "Removed 1 inputs, 1.0 kB; 6.0 kB are left\n"
    assert json.loads(node.ask("prune", "--all", "--output", "json").stdout) == {
        "Removed": 1,
        "Bytes": 2000,
        "Left": 4000,
    }
    assert [item["Name"] for item in listed(node)] == [f"{place}/c/k"]
    node.client.stop(holds)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("prune",), "say what is to go: --all, --size SIZE or --older-than DURATION"),
        (("prune", "--all", "--size", "1kb"), "--all is everything"),
        (("prune", "--size", "big"), "must be an amount of bytes, as 512Mb or 10Gb"),
        (("prune", "--older-than", "0s"), "--older-than must be 1s or more"),
        (("list", "--next-token", "x"), "next_token 'x' is not one of this list"),
    ],
)
def test_wrong_words_are_named(node, args, said):
    assert said in node.ask(*args, code=1).stderr


def test_an_orchestrator_alone_says_whom_to_ask(tmp_path):
    with System(tmp_path, NO_DOCKER, split=True) as system:
        refused = system.cli("node", "cache", "list", code=1).stderr
        assert "the process behind this API has no cache of inputs" in refused and "--api-port" in refused
