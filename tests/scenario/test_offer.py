"""What a node takes and gives: its administrator's rules, its own variables, and ports that outlive a restart."""

import json
import os
import urllib.request
from contextlib import closing

import pytest

from tests.support.ports import free_port
from tests.support.system import OWNER

# A web server that ends at once when it is asked to.
SERVE = (
    "trap 'exit 0' TERM; mkdir /tmp/www; printf hello > /tmp/www/index.html; busybox httpd -f -p $BACALHAU_PORT_web -h"
    " /tmp/www & until wget -q -O /dev/null http://127.0.0.1:$BACALHAU_PORT_web/ 2>/dev/null; do :; done; echo"
    " $BACALHAU_PORT_web $BACALHAU_HOST_PORT_web; wait"
)


@pytest.fixture(scope="module")
def strict(start_system, tmp_path_factory):
    """An orchestrator with a node of many rules, and none on the second node that a test may start."""
    folder = tmp_path_factory.mktemp("rules")
    rules = {
        "Compute.Env.AllowList": "TEST_HOST_*",
        "JobAdmissionControl.RejectNetworkedJobs": "true",
        "Engines.Types.Docker.AllowedRegistries": "docker.io/**",
        "JobAdmissionControl.ProbeExec": (
            f'grep -q \'"Labels":{{"good":"yes"\' || {{ echo only good jobs >&2; exit 1; }}; [ ! -e {folder}/closed ]'
        ),
    }
    return start_system(
        split=True, settings=rules, variables={"TEST_HOST_VAR": "from the node", "SECRET_HOST_VAR": "hidden"}
    )


def good(system, script, **changes):
    return system.run(script, **({"job": {"Labels": {"good": "yes"}}} | changes))


def states(system, job_id):
    return [(e.node_id, e.state.label, e.compute_state.message) for e in system.client.executions(job_id)]


def test_a_variable_of_the_node_that_is_allowed_is_read_there_and_kept_nowhere(strict):
    job = good(strict, "echo $A", Env={"A": "env:TEST_HOST_VAR"})
    assert strict.output(job.id) == "from the node\n"
    assert strict.client.get_job(job.id).task.env == {"A": "env:TEST_HOST_VAR"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"Env": {"A": "env:SECRET_HOST_VAR"}},
            "environment variable A asks for SECRET_HOST_VAR of the node, which Compute.Env.AllowList does not allow",
        ),
        (
            {"Env": {"A": "env:TEST_HOST_NOPE"}},
            "environment variable A asks for TEST_HOST_NOPE of the node, which is not set there",
        ),
        ({"job": {"Labels": {"good": "no"}}}, "only good jobs"),
        (
            {"Engine": {"Type": "docker", "Params": {"Image": "ghcr.io/acme/tool:1"}}},
            (
                "does not run image ghcr.io/acme/tool:1 (of ghcr.io/acme/tool):"
                " Engines.Types.Docker.AllowedRegistries allows docker.io/**"
            ),
        ),
    ],
)
def test_what_the_node_refuses_it_explains(strict, changes, reason):
    job = good(strict, "true", **changes)
    assert job.state.state_type == "Failed"
    assert job.state.message.startswith(f"{reason} ({strict.node_id[:10]})")
    assert states(strict, job.id) == [(strict.node_id, "AskForBidRejected", reason)]


def test_a_network_is_refused_before_the_node_is_asked_and_isolated_when_nobody_asked_for_one(strict):
    job = good(strict, "true", Network={"Type": "Host"})
    assert "does not accept jobs that use a network (this one asks for Host)" in job.state.message
    assert states(strict, job.id) == []
    assert strict.output(good(strict, "ls /sys/class/net", Network={"Type": "Default"}).id) == "lo\n"


def test_another_node_takes_what_one_refuses(strict):
    lenient = strict.process(
        strict.folder / "lenient", ["--compute"], {"Compute.Orchestrators": f"nats://127.0.0.1:{strict.nats_port}"}
    )
    lenient.start()
    mark = 0
    try:
        line = strict.orchestrator.until("joined", mark) and lenient.until("joined its orchestrator", 0)
        node_id = line.split("node ")[1].split()[0]
        job = strict.run("echo here", job={"Labels": {"good": "no"}})
        assert job.state.state_type == "Completed"
        assert states(strict, job.id)[-1] == (node_id, "Completed", "Completed")
    finally:
        assert lenient.stop() == 0


@pytest.fixture(scope="module")
def plain(start_system, tmp_path_factory):
    """A node with ports to give out, and two GPUs as far as the maker's tool says."""
    first, tools = free_port(50), tmp_path_factory.mktemp("tools")
    (tools / "nvidia-smi").write_text(
        "#!/bin/sh\necho '0, Tesla T4, 15360, 00000000:00:1E.0'\necho '1, Tesla T4, 15360, 00000000:00:1F.0'\n"
    )
    (tools / "nvidia-smi").chmod(0o755)
    network = {
        "Network.AdvertisedAddress": "127.0.0.1",
        "Network.PortRangeStart": first,
        "Network.PortRangeEnd": first + 49,
    }
    variables = OWNER | {"PATH": f"{tools}:{os.environ['PATH']}"}
    settings = {f"Compute.{name}": value for name, value in network.items()} | {
        "Publishers.Types.Local.Port": free_port()
    }
    return start_system(settings=settings, variables=variables)


def until_ports(system, job_id):
    """Where the task is reached, as its record says."""
    system.until_event(job_id, lambda item: item.event.message.startswith("Ports: "))
    (found,) = system.client.executions(job_id)
    return found.compute_state.details["HostPort.web"]


def first_line(system, job_id):
    with closing(system.client.logs(job_id, follow=True)) as lines:
        return next(lines)[1]


def read(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(("kind", "port"), [("Bridge", {"Target": 8080}), ("Bridge", {}), ("Host", {})])
def test_a_task_is_reached_at_the_port_it_was_given(plain, containers, kind, port):
    job_id = plain.submit(SERVE, Network={"Type": kind, "Ports": [{"Name": "web", **port}]})
    address = until_ports(plain, job_id)
    inside, outside = first_line(plain, job_id).split()
    assert (inside, address) == (str(port.get("Target", outside)), f"127.0.0.1:{outside}")
    assert read(address) == "hello"
    plain.client.stop(job_id)
    containers.until("destroy", job_id)


def test_ports_are_the_tasks_own_after_a_restart_and_free_at_its_end(plain, containers):
    static = free_port()
    job_id = plain.submit(
        SERVE,
        Network={
            "Type": "Bridge",
            "Ports": [{"Name": "web", "Static": static, "Target": 80}, {"Name": "any", "Target": 81}],
        },
    )
    assert until_ports(plain, job_id) == f"127.0.0.1:{static}"
    assert first_line(plain, job_id) == f"80 {static}\n"
    assert read(f"127.0.0.1:{static}") == "hello"
    plain.kill()
    plain.start()
    other = plain.submit("true", Network={"Type": "Bridge", "Ports": [{"Name": "web", "Static": static, "Target": 80}]})
    plain.until_event(other, lambda item: f"busy: port {static} is in use" in item.event.message)
    assert read(f"127.0.0.1:{static}") == "hello"
    plain.client.stop(job_id)
    again = plain.client.wait(other, 60)
    assert again.state.state_type == "Completed", json.dumps(again.state.message)


def test_a_static_port_serves_one_task_after_another(plain):
    """Each ends a moment before Docker has given its port back."""
    port = free_port()
    network = {"Type": "Bridge", "Ports": [{"Name": "web", "Static": port, "Target": 80}]}
    for number in range(3):
        job = plain.run(f"echo {number}", Network=network)
        assert (job.state.state_type, job.state.message) == ("Completed", "")


def test_partitions_of_s3_objects(plain, s3, bucket):
    s3.fill(bucket, {f"uploads/{letter}.txt": letter.encode() for letter in "abcdef"})
    params = {"Bucket": bucket, "Key": "uploads/*", "Endpoint": s3.url, "Region": "us-east-1"}
    inputs = [
        {
            "Source": {"Type": "s3", "Params": params | {"Partition": {"Type": "object"}}},
            "Target": "/mine",
            "Alias": "mine",
        },
        {"Source": {"Type": "s3", "Params": params}, "Target": "/all", "Alias": "all"},
    ]
    job = plain.run(
        "echo $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT: $(cat /mine/*) $(cat /all/*)",
        InputSources=inputs,
        job={"Count": 3},
    )
    assert job.state.state_type == "Completed", job.state.message
    printed = sorted(e.run_output.stdout for e in plain.client.executions(job.id))
    assert printed == ["0 of 3: ce abcdef\n", "1 of 3: af abcdef\n", "2 of 3: bd abcdef\n"]
    empty = plain.run(
        "ls /mine",
        InputSources=[
            {
                "Source": {"Type": "s3", "Params": params | {"Key": "uploads/a.txt", "Partition": {"Type": "object"}}},
                "Target": "/mine",
            }
        ],
        job={"Count": 3},
    )
    assert sorted(e.run_output.stdout for e in plain.client.executions(empty.id)) == ["", "", "a.txt\n"]


def test_gpus_are_offered_with_their_names_and_counted(plain):
    (node,) = plain.client.nodes()
    offer = node.info.compute.max_capacity
    assert (offer.gpu, [(gpu.index, gpu.name, gpu.memory) for gpu in offer.gpus]) == (
        2,
        [(0, "Tesla T4", 15360), (1, "Tesla T4", 15360)],
    )
    assert node.info.labels["GPU-1"] == "Tesla-T4"
    task = {"Name": "main", "Engine": {"Type": "noop"}, "Resources": {"GPU": "2", "CPU": "0.1"}}
    assert (
        plain.client.wait(plain.client.submit({"Type": "batch", "Tasks": [task]}), 30).state.state_type == "Completed"
    )
    refused = plain.client.wait(
        plain.client.submit({"Type": "batch", "Tasks": [task | {"Resources": {"GPU": "3"}}]}), 30
    )
    assert refused.state.message.startswith("needs 3 GPU, has 2 (")


def test_results_on_the_nodes_own_disk(plain, tmp_path):
    shown = plain.cli(
        "docker",
        "run",
        "-p",
        "local",
        "-o",
        "outputs:/outputs",
        "--id-only",
        plain.image,
        "--",
        "sh",
        "-c",
        "echo kept > /outputs/f; echo said",
    )
    plain.cli("get", shown.stdout.strip(), "--output-dir", ".", cwd=tmp_path)
    assert (tmp_path / "outputs" / "f").read_text() == "kept\n"
    assert (tmp_path / "stdout").read_text() == "said\n"
    assert not list(tmp_path.glob("*.tar.gz"))
