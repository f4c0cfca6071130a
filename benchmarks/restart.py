"""kill -9 of an orchestrator with 10,000 jobs that run on 100 nodes: seconds until its API answers again, until every
node is back, and until a job that comes after all others is placed; all others have been looked at before it.
"""

import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from bacalhau.lib.ports import free_ports
from benchmarks.fleet import Plan, fleet
from benchmarks.placement import submit, wait_for
from benchmarks.server import Server, killed, started

JOBS, NODES = 10_000, 100


def _answers(served: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{served.url}/orchestrator/jobs?limit=1", timeout=60):
            return True
    except OSError:
        return False


def _wait_until_it_answers(served: Server) -> None:
    while not _answers(served):
        time.sleep(0.01)


def measure(jobs: int = JOBS) -> dict[str, float]:
    ports = free_ports(2)
    with TemporaryDirectory(prefix="bacalhau-bench-", ignore_cleanup_errors=True) as folder:
        where = Path(folder)
        with started(where, (), {}, roles=("--orchestrator",), ports=ports) as first:
            _wait_until_it_answers(first)
            with fleet(first.nats_url, Plan(NODES)) as nodes:
                submit(first.url, jobs)
                wait_for(nodes, jobs, 300)
                before = first.resident_mb()
                killed(first)
                began = time.monotonic()
                with started(where, (), {}, roles=("--orchestrator",), ports=ports) as second:
                    _wait_until_it_answers(second)
                    answered = time.monotonic() - began
                    submit(second.url, 1)
                    wait_for(nodes, jobs + 1, 120)
                    placed = time.monotonic() - began
                    return {
                        "jobs": jobs,
                        "before_mb": before,
                        "after_mb": second.resident_mb(),
                        "answers_s": answered,
                        "placed_s": placed,
                        "doubles": nodes.ask("state")["asks"] - jobs - 1,
                    }


if __name__ == "__main__":
    print(measure())
