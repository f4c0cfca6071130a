"""What it costs to start the command line: `--help` of three commands, beside an empty Python program and beside
importing Click.

Prints medians in ms of interleaved runs, and last, as JSON, the worst command and its multiple of Python's own start.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("bacalhau"))
ROUNDS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "bacalhau --help": [PROGRAM, "--help"],
    "bacalhau docker run --help": [PROGRAM, "docker", "run", "--help"],
    "bacalhau job list --help": [PROGRAM, "job", "list", "--help"],
}


def run(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            taken[name].append(run(command))
    medians = {name: statistics.median(found) for name, found in taken.items()}
    for name, median in medians.items():
        print(f"{name:30} {median:6.1f} ms")
    base, *_ = medians.values()
    worst = max(median for name, median in medians.items() if name.startswith("bacalhau"))
    print(json.dumps({"worst_ms": worst, "python_ms": base, "ratio": worst / base}))


if __name__ == "__main__":
    main()
