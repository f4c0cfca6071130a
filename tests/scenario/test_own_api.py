"""A node that only runs jobs, in a process of its own: its API tells of it, with and without its orchestrator."""

import json
import ssl

import httpx
import pytest
import websockets
from websockets.sync.client import connect

from tests.support.ports import free_port
from tests.support.system import System

NO_DOCKER = "tcp://127.0.0.1:1"
KEY = "a-key-of-twenty-letters"
READER = {"Alias": "reader", "APIKey": KEY, "Capabilities": [{"Actions": ["read:agent"]}]}
BUSY = {"Type": "batch", "Count": 1, "Tasks": [{"Name": "main", "Engine": {"Type": "noop", "Params": {"Sleep": 3600}}}]}


def open_pair(folder, **settings):
    """An orchestrator and a node in two processes; the node's API is at `node_port`."""
    port = free_port()
    system = System(folder, NO_DOCKER, split=True, settings={"API.Port": port, **settings})
    system.node_port, system.node_url = port, f"http://127.0.0.1:{port}"
    return system


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with open_pair(tmp_path_factory.mktemp("pair"), **{"Compute.Auth.Token": "", "Labels": "zone=b"}) as system:
        yield system


def ask(system, path):
    answer = httpx.get(f"{system.node_url}/api/v1/agent/{path}", timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-bacalhau-git-version"].startswith("v")
    return answer.json()


def test_it_tells_who_it_is_and_what_it_offers(pair):
    assert ask(pair, "alive") == {"Status": "OK"}
    assert ask(pair, "version") == httpx.get(f"{pair.url}/api/v1/agent/version").json()
    own = ask(pair, "node")
    known = pair.client.node(pair.node_id).info
    assert (own["NodeID"], own["NodeType"], own["Labels"]["zone"]) == (pair.node_id, "Compute", "b")
    offered = own["ComputeNodeInfo"]
    assert offered["ExecutionEngines"] == list(known.compute.execution_engines) == ["noop"]
    assert offered["MaxCapacity"]["CPU"] == known.compute.max_capacity.cpu > 0
    assert {"ipfs", "local"} <= set(offered["Publishers"]) and "inline" in offered["StorageSources"]


def test_its_configuration_is_shown_without_secrets(tmp_path):
    with open_pair(
        tmp_path, **{"Orchestrator.Auth.Token": "hidden-secret", "Compute.Auth.Token": "hidden-secret"}
    ) as system:
        told = ask(system, "config")["config"]
        assert told["Compute"]["Auth"]["Token"] == "********" and "hidden-secret" not in json.dumps(told)
        assert told["API"]["Port"] == system.node_port and told["Compute"]["Enabled"] is True


def test_it_shows_the_work_in_hand(pair):
    job_id = pair.client.submit(BUSY)
    pair.until_event(job_id, lambda item: "Running" in item.event.message)
    (execution,) = pair.client.executions(job_id)
    told = ask(pair, "debug")
    (active,) = told["ActiveJobs"]
    assert (active["ExecutionID"], active["JobID"], active["State"]) == (execution.id, job_id, "started")
    assert told["Capacity"]["Available"]["CPU"] < told["Capacity"]["Max"]["CPU"]
    assert told["Connection"]["Status"] == "CONNECTED"
    assert told["Connection"]["Orchestrators"] == f"nats://127.0.0.1:{pair.nats_port}"
    assert ask(pair, "node")["ComputeNodeInfo"]["RunningExecutions"] == 1
    pair.client.stop(job_id)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/orchestrator/jobs"),
        ("PUT", "/api/v1/orchestrator/jobs"),
        ("GET", "/api/v1/orchestrator/nodes"),
        ("GET", "/api/v1/orchestrator/jobs/j-1/history"),
        ("POST", "/api/v1/requester/list"),
        ("GET", "/requester/nodes"),
        ("GET", "/ipfs/QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"),
        ("GET", "/nowhere"),
    ],
)
def test_all_else_is_answered_with_the_orchestrator_to_ask(pair, method, path):
    answer = httpx.request(method, pair.node_url + path)
    told = answer.json()
    assert (answer.status_code, told["Status"], told["Code"]) == (404, 404, "NotFound")
    assert told["Message"] == f"node {pair.node_id} only runs jobs: its API tells of this node alone"
    assert told["Hint"].endswith(f"nats://127.0.0.1:{pair.nats_port}") and told["RequestID"]


def test_a_log_socket_is_refused_in_the_same_words(pair):
    with (
        pytest.raises(websockets.InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{pair.node_port}/api/v1/orchestrator/jobs/j-1/logs"),
    ):
        pass
    assert refused.value.response.status_code == 404
    assert "only runs jobs" in json.loads(refused.value.response.body)["Message"]


def test_routes_of_every_node_in_their_older_spelling(pair):
    assert httpx.get(f"{pair.node_url}/livez").headers["location"] == "/api/v1/agent/alive"
    assert httpx.get(f"{pair.node_url}/api/v1/livez").text == "OK"
    assert httpx.get(f"{pair.node_url}/id").text == pair.node_id
    assert httpx.get(f"{pair.node_url}/api/v1/node_info").json()["NodeType"] == "Compute"
    assert httpx.post(f"{pair.node_url}/compute/debug").json()["RunningExecutions"].keys() == {pair.node_id}
    paths = httpx.get(f"{pair.node_url}/api/v1/openapi.json").json()["paths"]
    assert "/api/v1/agent/debug" in paths and not [path for path in paths if "/orchestrator/" in path]


def test_the_command_line_asks_it(pair):
    def cli(*args, **how):
        return pair.cli(*args, "--api-port", pair.node_port, **how)

    assert cli("agent", "alive").stdout == "Status: OK\n"
    assert f"NodeID: {pair.node_id}\nNodeType: Compute\n" in cli("agent", "node").stdout
    assert f"Port: {pair.node_port}\n" in cli("agent", "config").stdout
    assert cli("agent", "version").stdout.startswith("Bacalhau v")
    refused = cli("job", "list", code=1).stderr
    assert refused.startswith(f"Error: node {pair.node_id} only runs jobs") and "Hint:  ask the API of the" in refused


def test_without_its_orchestrator_it_is_alive_and_says_that_it_is_not_connected(tmp_path):
    with open_pair(tmp_path) as system:
        mark = len(system.node.lines)
        system.orchestrator.kill()
        system.node.until("lost the connection", mark)
        assert ask(system, "alive") == {"Status": "OK"} and ask(system, "node")["NodeID"] == system.node_id
        told = ask(system, "debug")["Connection"]
        assert told["Status"] == "DISCONNECTED" and str(system.nats_port) in told["LastError"]
        assert system.node.stop() == 0
        system.node.start()
        system.node.until("API of this node alone: ", mark)  # it has never seen its orchestrator in this life
        assert ask(system, "debug")["Connection"]["Status"] == "DISCONNECTED"
        system.start()


def test_tls_and_users_hold_at_its_door_too(tmp_path):
    system = open_pair(tmp_path, **{"API.TLS.SelfSigned": "true"})
    system.node_dir.mkdir()
    (system.node_dir / "config.yaml").write_text(json.dumps({"API": {"Auth": {"Users": [READER]}}}))
    with system:
        url = f"https://127.0.0.1:{system.node_port}/api/v1"
        trusting = ssl.create_default_context(cafile=str(system.node_dir / "compute" / "api.crt"))
        with httpx.Client(verify=trusting) as http:
            assert http.get(f"{url}/agent/alive").json() == {"Status": "OK"}
            for path in ("agent/node", "agent/config", "agent/debug", "orchestrator/jobs"):
                assert http.get(f"{url}/{path}").status_code == 401
            shown = {"Authorization": f"Bearer {KEY}"}
            assert http.get(f"{url}/agent/node", headers=shown).json()["NodeID"] == system.node_id
            assert http.get(f"{url}/orchestrator/jobs", headers=shown).status_code == 403
            told = http.get(f"{url}/agent/config", headers=shown)
            assert told.status_code == 200 and KEY not in told.text
        here = ("agent", "alive", "--api-port", system.node_port, "--tls")
        assert system.cli(*here, "--cacert", system.node_dir / "compute" / "api.crt").stdout == "Status: OK\n"
        assert "certificate" in system.cli(*here, code=1).stderr


def test_a_port_that_is_set_and_in_use_ends_the_start_before_anything_begins(pair):
    late = pair.process(
        pair.folder / "late",
        ["--compute"],
        {"Compute.Orchestrators": f"nats://127.0.0.1:{pair.nats_port}", "API.Port": pair.node_port},
    )
    late.start()
    assert late.child.wait(30) == 1
    late.until("(the log ends here)", 0)
    said = "".join(late.lines)
    assert f"Error: port {pair.node_port} is in use\nHint:  choose another with -c API.Port=PORT\n" in said
    assert "joined" not in said and "API of" not in said


def test_two_nodes_beside_their_orchestrator_need_no_ports_of_anybody(pair):
    urls = []
    for name in ("one", "two"):
        node = pair.process(
            pair.folder / name, ["--compute"], {"Compute.Orchestrators": f"nats://127.0.0.1:{pair.nats_port}"}
        )
        node.start()
        urls.append(node.until("API of this node alone: ", 0).split(": ")[1].strip())
    assert urls[0] != urls[1]
    for url in urls:
        assert httpx.get(f"{url}/alive").json() == {"Status": "OK"}
        assert not url.startswith("http://127.0.0.1:1234/")


def test_its_end_leaves_the_port_free(tmp_path):
    with open_pair(tmp_path) as system:
        for end in (system.node.stop, system.node.kill):
            mark = len(system.node.lines)
            with httpx.Client() as held:  # a connection that stays open holds nobody up
                assert held.get(f"{system.node_url}/api/v1/agent/alive").status_code == 200
                assert end() in (0, None)
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{system.node_url}/api/v1/agent/alive")
            system.node.start()
            system.node.until("API of this node alone: ", mark)
            assert ask(system, "alive") == {"Status": "OK"}
