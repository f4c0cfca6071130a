"""`/metrics` of real processes, read by the client library's parser, by promtool and by a real Prometheus."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import httpx
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from bacalhau.app.build import compute_node
from bacalhau.app.identity import load_identity
from bacalhau.app.serve import serve
from bacalhau.client.client import AsyncClient
from bacalhau.config.load import load_config
from tests.support.prometheus import prometheus
from tests.support.until import until

FILES = Path(__file__).parents[2] / "docs" / "monitoring"
BOTH = {
    "API.Port": 0,
    "Orchestrator.Port": 0,
    "Engines.Disabled": "docker",
    "Compute.Enabled": True,
    "Orchestrator.Enabled": True,
}
KEY = "a-key-of-twenty-letters"
USER = {"Alias": "watcher", "APIKey": KEY, "Capabilities": [{"Actions": ["read:agent"]}]}
STRANGER = {"Alias": "other", "APIKey": KEY[::-1], "Capabilities": [{"Actions": ["read:job"]}]}


def noop(cpu="1m", **params):
    task = {"Name": "main", "Engine": {"Type": "noop", "Params": params}, "Resources": {"CPU": cpu, "Memory": "1Mb"}}
    return {"Type": "batch", "Count": 1, "Tasks": [task]}


def scrape(url, key=""):
    """The metrics by name; each a map from the values of its labels, in the order of their names."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx.get(f"{url}/metrics", headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation and family.type != "unknown"
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found, answer.text


async def test_what_happens_is_counted_and_ids_are_never_labels(tmp_path):
    config = load_config([], {}, BOTH | {"DataDir": str(tmp_path), "Compute.AllocatedCapacity.CPU": "1.5"})
    async with serve(config) as served:
        async with AsyncClient(served.api_url) as client:
            done = [await client.submit(noop()) for _ in range(5)]
            failed = await client.submit(noop(cpu="4000"))
            for job_id in (*done, failed):
                await client.wait(job_id, 30)
            large = await client.submit(noop(cpu="1", Sleep=3600))
            await client.submit(noop(cpu="1", Sleep=3600))
        await asyncio.to_thread(
            until,
            lambda: scrape(served.api_url)[0]["bacalhau_node_executions"] == {(): 1.0},
            "the long one runs",
        )
        await asyncio.to_thread(httpx.get, f"{served.api_url}/api/v1/orchestrator/jobs/{large}")
        await asyncio.to_thread(httpx.get, f"{served.api_url}/nowhere/{large}")
        found, text = await asyncio.to_thread(scrape, served.api_url)
    await asyncio.to_thread(check_by_promtool, text)
    assert found["bacalhau_jobs_submitted_total"] == {(): 8.0}
    ended = found["bacalhau_jobs_ended_total"]
    assert ended == {("Completed",): 5.0, ("Failed",): 1.0, ("Stopped",): 0.0}
    assert sum(found["bacalhau_jobs"].values()) == 2 and sum(found["bacalhau_executions"].values()) == 1
    assert found["bacalhau_placements_total"] == {(): 6.0}
    assert found["bacalhau_executions_ended_total"]["Completed",] == 5
    queue = found["bacalhau_queue_jobs"]
    assert queue["room",] + queue["parked",] == 1 and sum(found["bacalhau_queue_oldest_seconds"].values()) > 0
    assert found["bacalhau_nodes"] == {("connected",): 1.0, ("disconnected",): 0.0}
    assert found["bacalhau_stage_seconds_count"]["publishing",] >= 5
    assert found["bacalhau_store_commit_seconds_count"]["orchestrator",] > 5
    assert found["bacalhau_store_transactions_total"]["journal",] > 5
    assert found["bacalhau_messages_sent_total"]["acknowledged", "orchestrator"] >= 5
    requests = found["bacalhau_api_requests_total"]
    assert requests["PUT", "/api/v1/orchestrator/jobs", "200"] == 8
    assert requests["GET", "/api/v1/orchestrator/jobs/{job_id}", "200"] >= 1 and requests["GET", "other", "404"] == 1
    assert found["process_cpu_seconds_total"][()] > 0
    assert not re.search(r"j-[0-9a-f]{8}|e-[0-9a-f]{8}|n-[0-9a-f]{8}", text)


async def test_a_node_alone_has_metrics_and_only_readers_of_agents_see_them(tmp_path):
    keys = BOTH | {"Orchestrator.Enabled": False, "DataDir": str(tmp_path), "API.Auth.Users": [USER, STRANGER]}
    keys |= {"Compute.Orchestrators": "nats://127.0.0.1:1"}
    async with serve(load_config([], {}, keys)) as served:

        def status(key):
            return httpx.get(f"{served.api_url}/metrics", headers={"Authorization": f"Bearer {key}"}).status_code

        bare = await asyncio.to_thread(httpx.get, f"{served.api_url}/metrics")
        assert bare.status_code == 401 and await asyncio.to_thread(status, KEY[::-1]) == 403
        found, _ = await asyncio.to_thread(scrape, served.api_url, KEY)
    assert found["bacalhau_node_connected"] == {(): 0.0} and "bacalhau_jobs_submitted_total" not in found
    assert found["bacalhau_api_requests_total"]["GET", "other", "401"] == 1


async def test_a_real_prometheus_reads_them_and_every_query_of_dashboard_and_alerts(tmp_path):
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    config = load_config([], {}, BOTH | {"DataDir": str(tmp_path / "data"), "API.Auth.Users": [USER]})
    async with serve(config) as served:
        _, text = await asyncio.to_thread(scrape, served.api_url, KEY)
        await asyncio.to_thread(check_by_prometheus, tmp_path, served.api_url.removeprefix("http://"), queries)
    names = {family.name for family in text_string_to_metric_families(text)}
    known = names | {f"{name}{end}" for name in names for end in ("_total", "_bucket", "_count", "_sum")} | {"up"}
    for query in (*queries, (FILES / "alerts.yaml").read_text()):
        assert set(re.findall(r"\b(?:bacalhau|process)_\w+", query)) <= known, query
    drawn = set(re.findall(r"\b(?:bacalhau|process)_\w+", " ".join(queries)))
    unseen = {name for name in names if name.startswith("bacalhau_") and not any(d.startswith(name) for d in drawn)}
    assert unseen <= {"bacalhau_build_info", "bacalhau_cache_evictions"}


def check_by_promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def check_by_prometheus(folder, target, queries):
    with prometheus(folder, target, FILES / "alerts.yaml", KEY) as served:
        for query in queries:
            served.query(query.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        (sample,) = served.query("bacalhau_nodes{state='connected'}")
        assert sample["metric"]["job"] == "bacalhau"
        rules = served.get("rules")["groups"][0]["rules"]
        assert len(rules) > 10 and not [rule for rule in rules if rule["health"] == "err"]


def test_the_alerts_are_sound_and_fire():
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=FILES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


async def test_messages_to_a_node_that_is_away_wait_and_are_counted(tmp_path):
    keys = BOTH | {"Compute.Enabled": False, "DataDir": str(tmp_path / "o")}
    config = load_config([], {}, keys)
    async with serve(config) as served, AsyncClient(served.api_url) as client:
        own = replace(config, data_dir=str(tmp_path / "n"))
        async with compute_node(own, load_identity(tmp_path / "n"), served.bus_address, None) as node:
            await node.joined.wait(30)
            job_id = await client.submit(noop(Sleep=3600))
            while not node.running:
                await client.history(job_id, wait=1)
        await client.stop(job_id)
        found, _ = await asyncio.to_thread(scrape, served.api_url)
    assert found["bacalhau_messages_waiting"]["orchestrator",] == 1
