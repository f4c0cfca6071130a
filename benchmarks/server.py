"""A server of its own for a benchmark, in a process of its own, on free loopback ports."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bacalhau.lib.ports import free_ports


class Server(NamedTuple):
    """`pid` is the serving process; its children are the message server."""

    url: str
    pid: int
    folder: Path
    nats_url: str = ""

    def resident_mb(self) -> float:
        """Of the process and its children, MB."""
        return sum(_resident_kb(pid) for pid in (str(self.pid), *_children(self.pid))) / 1000

    def cpu_ms(self) -> float:
        """Processor time of the serving process alone since its start, all threads, ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_kb(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


@contextmanager
def server(*settings: str, **environment: str) -> Iterator[Server]:
    """`bacalhau serve --orchestrator --compute` with `-c` settings."""
    with (
        tempfile.TemporaryDirectory(prefix="bacalhau-bench-", ignore_cleanup_errors=True) as folder,
        started(Path(folder), settings, environment) as served,
    ):
        wait_for_node(served)
        yield served


@contextmanager
def orchestrator(*settings: str, folder: Path | None = None) -> Iterator[Server]:
    """`bacalhau serve --orchestrator`, in `folder` when it is to have what was there before."""
    with (
        tempfile.TemporaryDirectory(prefix="bacalhau-bench-", ignore_cleanup_errors=True) as temporary,
        started(folder or Path(temporary), settings, {}, roles=("--orchestrator",)) as served,
    ):
        _wait_for(f"{served.url}/agent/alive", b"", served)
        yield served


@contextmanager
def started(
    folder: Path,
    settings: Sequence[str],
    environment: Mapping[str, str],
    *,
    roles: Sequence[str] = ("--orchestrator", "--compute"),
    ports: Sequence[int] | None = None,
) -> Iterator[Server]:
    """A server that perhaps does not answer yet. It may be killed while the block runs."""
    port, nats = ports or free_ports(2)
    command = [sys.executable, "-c", "from bacalhau.cli.main import main; main()", "serve", *roles]
    for setting in (f"API.Port={port}", f"Orchestrator.Port={nats}", "Logging.Level=warn", *settings):
        command += ["-c", setting]
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            command, env={**os.environ, "BACALHAU_DIR": f"{folder}/data", **environment}, stdout=log, stderr=log
        )
    try:
        yield Server(f"http://127.0.0.1:{port}/api/v1", child.pid, folder, f"nats://127.0.0.1:{nats}")
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(60)


def wait_for_node(served: Server) -> None:
    _wait_for(f"{served.url}/orchestrator/nodes", b'"CONNECTED"', served)


def killed(served: Server) -> None:
    """kill -9 of the server and its message server."""
    for pid in (*_children(served.pid), served.pid):
        os.kill(int(pid), signal.SIGKILL)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _wait_for(url: str, text: bytes, served: Server) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and Path(f"/proc/{served.pid}").exists():
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if text in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {(served.folder / 'log').read_text()[-500:]}")
