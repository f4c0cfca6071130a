"""A real Prometheus that scrapes one address every second."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.until import until


class Prometheus:
    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, text: str) -> list[dict]:
        """The samples of an instant query. Fails where Prometheus does not take it."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": text}).json()
        assert answer["status"] == "success", f"{text}: {answer.get('error')}"
        return answer["data"]["result"]

    def get(self, path: str) -> dict:
        return httpx.get(f"{self._url}/api/v1/{path}").json()["data"]


@contextmanager
def prometheus(folder: Path, target: str, rules: Path, key: str = "") -> Iterator[Prometheus]:
    """Scrape `target` (host:port) as job bacalhau; `key` is the API key that it shows."""
    port = free_port()
    scrape = {"job_name": "bacalhau", "static_configs": [{"targets": [target]}]}
    if key:
        scrape["authorization"] = {"credentials": key}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yaml").write_text(json.dumps(config))
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=log, stderr=log)
        try:
            served = Prometheus(f"http://127.0.0.1:{port}")
            until(lambda: _scraped(child, served, folder / "prometheus.log"), "Prometheus scrapes")
            yield served
        finally:
            child.terminate()
            child.wait(10)


def _scraped(child: subprocess.Popen, served: Prometheus, log: Path) -> bool:
    assert child.poll() is None, log.read_text()[-2000:]
    try:
        return [sample["value"][1] for sample in served.query("up")] == ["1"]
    except (httpx.TransportError, ValueError):  # it starts, and answers in words
        return False
