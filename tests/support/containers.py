"""What Docker itself tells of the containers a node runs: when each started, ended and went, and a way to hold one
inside.
"""

import json
import subprocess
import threading
import time
from typing import NamedTuple

# Shell text: wait here until the test says go. Whoever comes first makes the pipe.
HOLD = "busybox mkfifo /tmp/go 2>/dev/null; read go < /tmp/go"
_GO = "busybox mkfifo /tmp/go 2>/dev/null; echo > /tmp/go"


class Happening(NamedTuple):
    """`time` is Unix ns by Docker's clock; `action` is start, die, destroy, oom, ..."""

    time: int
    action: str
    container: str
    node_id: str
    job_id: str


class Containers:
    """`with Containers(url) as containers`: notes from then on what happens to containers of any node."""

    def __init__(self, url: str) -> None:
        self._docker = ["docker", "--host", url]
        self._seen: list[Happening] = []
        self._changed = threading.Condition()

    def __enter__(self) -> "Containers":
        filters = ["--filter", "type=container", "--filter", "label=bacalhau-executor"]
        command = [*self._docker, "events", "--since", str(int(time.time())), "--format", "{{json .}}", *filters]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(10)
        self._reader.join(10)
        self._child.stdout.close()

    def _read(self) -> None:
        for line in self._child.stdout:
            event = json.loads(line)
            labels = event["Actor"]["Attributes"]
            happening = Happening(
                event["timeNano"],
                event["Action"],
                event["Actor"]["ID"],
                labels["bacalhau-executor"],
                labels["bacalhau-jobID"],
            )
            with self._changed:
                self._seen.append(happening)
                self._changed.notify_all()

    def seen(self, action: str, *, job_id: str = "", node_id: str = "") -> list[Happening]:
        wanted = [
            h for h in self._seen if h.action == action and job_id in ("", h.job_id) and node_id in ("", h.node_id)
        ]
        return list({h.container: h for h in wanted}.values()) if action != "start" else wanted

    def until(self, action: str, job_id: str, count: int = 1, seconds: float = 30) -> list[Happening]:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.seen(action, job_id=job_id)) >= count, seconds)
        assert came, (
            f"no {count} x {action} for {job_id} within {seconds} s; seen:"
            f" {[h.action for h in self._seen if h.job_id == job_id]}"
        )
        return self.seen(action, job_id=job_id)

    def until_none_is_left(self, node_id: str, seconds: float = 30) -> None:
        with self._changed:
            gone = self._changed.wait_for(lambda: not self.alive(node_id), seconds)
        assert gone, f"left on {node_id}: {self.alive(node_id)}"

    def alive(self, node_id: str) -> set[str]:
        """Containers that were made and are not removed."""
        return {h.container for h in self.seen("create", node_id=node_id)} - {
            h.container for h in self.seen("destroy", node_id=node_id)
        }

    def most_at_once(self, node_id: str) -> int:
        steps = [(h.time, 1) for h in self.seen("start", node_id=node_id)] + [
            (h.time, -1) for h in self.seen("die", node_id=node_id)
        ]
        running = most = 0
        for _, step in sorted(steps):
            running += step
            most = max(most, running)
        return most

    def let_go(self, job_id: str) -> None:
        """End the hold of the job's running container."""
        self._let_go(self.until("start", job_id)[-1].container)

    def let_all_go(self, job_id: str) -> None:
        for happening in self.seen("start", job_id=job_id):
            self._let_go(happening.container)

    def _let_go(self, container: str) -> None:
        done = subprocess.run(
            [*self._docker, "exec", container, "sh", "-c", _GO], capture_output=True, text=True, timeout=30, check=False
        )
        # 137: the container heard it and was gone before its messenger, who ends with it.
        assert done.returncode in (0, 137), done.stderr

    def inspect(self, container: str) -> dict:
        shown = subprocess.run([*self._docker, "inspect", container], check=True, capture_output=True, text=True)
        return json.loads(shown.stdout)[0]
