"""Azurite, Azure's own server for tests, which npm brings; it is kept beside the other things that tests made."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bacalhau.bus.child import dying_with_parent
from tests.support.ports import free_port
from tests.support.until import until

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own
_FOLDER = Path(__file__).parents[2] / ".cache" / f"azurite-{VERSION}"
_INSTALL_SECONDS = 600


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Keep a server running while the block runs; yields the URL of its account."""
    program, port = installed(), free_port()
    log = folder / "log"
    options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), *options]
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=dying_with_parent()) as child,
    ):
        try:
            until(lambda: b"successfully listens" in log.read_bytes() or child.poll() is not None, "Azurite serves", 60)
            assert child.poll() is None, log.read_text(errors="replace")
            yield f"http://127.0.0.1:{port}/{ACCOUNT}"
        finally:
            child.kill()


def installed() -> Path:
    """Return its program, which is installed where it is not; one process does that, and others wait."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    program = _FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_FOLDER / "whole").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(_FOLDER), f"azurite@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
            assert done.returncode == 0, done.stderr[-1000:]
            (_FOLDER / "whole").touch()
    return program
