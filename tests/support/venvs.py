"""Python environments for other people's programs, whose requirements fight with ours and with one another's.

Each is made once, below the checkout's `.cache`, under a name that says what is in it. uv makes them: it does not
compile what no test imports, and Airflow brings 20,000 modules.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).parents[2] / ".cache" / "venvs"
INSTALL_SECONDS = 600
_UV = str(Path(sys.executable).with_name("uv"))


class Packages(NamedTuple):
    """Pinned requirements of an environment; those of `alone` come without what they ask for."""

    whole: tuple[str, ...]
    alone: tuple[str, ...] = ()


SDK_TODAY = Packages(("bacalhau-sdk==1.4.2", "bacalhau-apiclient==1.4.1"))
# The older SDK asks for a heap of developers' tools; this is what it imports.
SDK_SEED = Packages(
    (
        "pem==23.1.0",
        "pycryptodome==3.23.0",
        "certifi==2024.2.2",
        "six==1.17.0",
        "python-dateutil==2.9.0.post0",
        "urllib3==2.8.0",
        "setuptools==65.5.0",
    ),
    ("bacalhau-sdk==1.3.2", "bacalhau-apiclient==1.0.0"),
)
# The provider itself asks for the newest of both others, which do not go together.
AIRFLOW = Packages(
    tuple((Path(__file__).parents[1] / "peers" / "airflow-requirements.txt").read_text().split()),
    ("bacalhau-airflow==1.3.2", "bacalhau-sdk==1.3.2", "bacalhau-apiclient==1.0.0"),
)


def python_with(packages: Packages) -> Path:
    """Return the interpreter of an environment with these packages, which is made when there is none.

    Safe from several processes at once; a broken attempt leaves nothing that a later one would believe.
    """
    wanted = "\n".join((sys.version, *sorted(packages.whole), "no-deps:", *sorted(packages.alone)))
    home = HOME / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            _run(_UV, "venv", "-q", "--python", sys.executable, str(home))
            _install(home, list(packages.whole))
            _install(home, ["--no-deps", *packages.alone] if packages.alone else [])
            (home / "complete").write_text(wanted)
    return home / "bin" / "python"


def _install(home: Path, arguments: list[str]) -> None:
    if arguments:
        _run(_UV, "pip", "install", "-q", "--python", str(home / "bin" / "python"), *arguments)


def _run(*command: str) -> None:
    environment = os.environ | {"UV_CACHE_DIR": str(HOME.with_name("uv")), "UV_SYSTEM_CERTS": "1"}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}"
