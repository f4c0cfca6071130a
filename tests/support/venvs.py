"""Python environments for other people's programs, whose requirements fight with ours and with one another's.

Each is made once, below the checkout's `.cache`, under a name that says what is in it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2] / ".cache" / "venvs"
INSTALL_SECONDS = 600


def python_with(*requirements: str, no_deps: tuple[str, ...] = ()) -> Path:
    """The interpreter of an environment with these pinned `requirements`, and `no_deps` beside them without what they
    ask for.

    Safe from several processes at once; a broken attempt leaves nothing that a later one would believe.
    """
    wanted = "\n".join((sys.version, *sorted(requirements), "no-deps:", *sorted(no_deps)))
    home = HOME / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(home))
            _install(home, list(requirements))
            _install(home, ["--no-deps", *no_deps] if no_deps else [])
            (home / "complete").write_text(wanted)
    return home / "bin" / "python"


def _install(home: Path, arguments: list[str]) -> None:
    if arguments:
        _run(str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}"
