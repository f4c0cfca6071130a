"""A server to be fuzzed: `bacalhau serve` in a process of its own, whose log and memory are looked at."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from joserfc.jwk import RSAKey

from bacalhau.lib.ids import new_uuid
from tests.support.ports import free_port
from tests.support.system import Process, bare_environment

KEY = "k-0123456789-0123456789"
USERS = [
    {"Alias": "all", "APIKey": KEY, "Capabilities": [{"Actions": ["*"]}]},
    {"Username": "reader", "Password": "a-long-password", "Capabilities": [{"Actions": ["read:*"]}]},
    {
        "Username": "hashed",
        "Password": "$2b$04$gajWaBjG1H1d6iOzV3qJae4avv4Bv4bhR3S4/U8s/10Csv30OvOa.",
        "Capabilities": [{"Actions": ["write:job"]}],
    },
]
# Small, so that what is kept on purpose is no growth.
KEPT = {
    "Orchestrator.Retention.JobsMaxCount": 200,
    "Orchestrator.Retention.DeadLettersMaxCount": 100,
    "Compute.Retention.MaxCount": 100,
}
FAULTS = re.compile(r"Traceback|Exception in|failed \(request|internal error|never retrieved|never awaited")


@dataclass
class Target:
    """`job_id` is a job that has ended, `job_name` its name; `token` what `API.Auth` wants, "" for an open server."""

    process: Process
    port: int
    nats_port: int
    token: str = ""
    job_id: str = ""
    job_name: str = "known"
    _seen: int = field(default=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def connect(self, seconds: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def submit(self, **changes: Any) -> str:
        task = {"Name": "main", "Engine": {"Type": "noop", "Params": {"Stdout": "héllo\n"}}}
        job = {"Name": self.job_name, "Type": "batch", "Count": 1, "Tasks": [task]} | changes
        answer = httpx.put(f"{self.url}/api/v1/orchestrator/jobs", json={"Job": job}, headers=self.headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["JobID"]

    def state_of(self, job_id: str) -> str:
        answer = httpx.get(
            f"{self.url}/api/v1/orchestrator/jobs/{job_id}?wait=20", headers=self.headers, timeout=30
        ).json()
        return answer["Job"]["State"]["StateType"]

    def check(self) -> None:
        """The process lives, its log tells of no fault of its own, and work still goes through all of it."""
        assert self.process.is_running, "the server has ended:\n" + "".join(self.process.lines[-40:])
        assert self.state_of(self.submit(Name=f"through-{new_uuid()}")) == "Completed"
        new = self.process.lines[self._seen :]
        self._seen += len(new)
        wrong = [number for number, line in enumerate(new) if FAULTS.search(line)]
        assert not wrong, "the server's log:\n" + "".join(new[max(0, wrong[0] - 5) : wrong[0] + 60])

    def memory(self) -> int:
        """Resident bytes of the server's own process."""
        pages = Path(f"/proc/{self.process.child.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@contextmanager
def target(folder: Path, *, guarded: bool = False) -> Iterator[Target]:
    """An orchestrator with a node in one process; `guarded` by users, and by tokens of an identity provider."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = ["-c", _guard(folder, stack.enter_context(provider()))] if guarded else []
        yield stack.enter_context(_serving(folder, files, KEY if guarded else ""))


def _guard(folder: Path, jwks_uri: str) -> str:
    """The configuration file that names who may come in."""
    auth = {"Users": USERS, "Oauth2": {"ProviderID": "idp", "JWKSUri": jwks_uri, "Issuer": "https://idp"}}
    (folder / "auth.yaml").write_text(yaml.safe_dump({"API": {"Auth": auth}}))
    return str(folder / "auth.yaml")


@contextmanager
def provider() -> Iterator[str]:
    """Where the keys of an identity provider are published."""
    keys = {"keys": [RSAKey.generate_key(2048, {"kid": "1"}).as_dict(private=False)]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(keys).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()


@contextmanager
def _serving(folder: Path, files: list[str], token: str) -> Iterator[Target]:
    port, nats_port = free_port(), free_port()
    settings = KEPT | {"API.Port": port, "Orchestrator.Port": nats_port, "Engines.Disabled": '["docker"]'}
    flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    process = Process(
        ["--orchestrator", "--compute", *files, *flags], folder / "data", folder / "log", bare_environment(folder)
    )
    process.start()
    try:
        process.until("joined its orchestrator", 0)
        process.until("API: ", 0)
        made = Target(process, port, nats_port, token)
        made.job_id = made.submit()
        assert made.state_of(made.job_id) == "Completed", json.dumps(process.lines[-20:])
        yield made
    finally:
        if process.is_running:
            process.kill()
