"""A server of its own for a benchmark, in a process of its own, on free loopback ports."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bacalhau.app.devstack import free_port


class Server(NamedTuple):
    """`pid` is the serving process; its children are the message server."""

    url: str
    pid: int
    folder: Path

    def resident_mb(self) -> float:
        """Of the process and its children, MB."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(_resident_kb(pid) for pid in (str(self.pid), *children)) / 1000


def _resident_kb(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


@contextmanager
def server(*settings: str, **environment: str) -> Iterator[Server]:
    """`bacalhau serve --orchestrator --compute` with `-c` settings."""
    port, nats = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bacalhau-bench-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-c", "from bacalhau.cli.main import main; main()", "serve", "--orchestrator", "--compute"]
        for setting in (f"API.Port={port}", f"Orchestrator.Port={nats}", "Logging.Level=warn", *settings):
            command += ["-c", setting]
        with (Path(folder) / "log").open("wb") as log:
            child = subprocess.Popen(command, env={**os.environ, "BACALHAU_DIR": f"{folder}/data", **environment}, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/api/v1"
            _wait_for_node(url, child, Path(folder) / "log")
            yield Server(url, child.pid, Path(folder))
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


def _wait_for_node(url: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/orchestrator/nodes", timeout=5) as answer:
                if b'"CONNECTED"' in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()[-500:]}")
