"""The system as a user runs it: `bacalhau serve` in processes of their own, killed and started again as a test wants.

Waiting is never by the clock: for a line of a process's log, for the API's own long requests, for Docker's events.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bacalhau.app.identity import load_identity
from bacalhau.client.sync import Client
from bacalhau.lib.ids import new_node_id
from bacalhau.models.job.job import Job
from tests.support.ports import free_port
from tests.support.s3 import ACCESS_KEY, SECRET_KEY

PROGRAM = str(Path(sys.executable).with_name("bacalhau"))
OWNER = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
OUTPUTS = [{"Name": "outputs", "Path": "/outputs"}]
START_SECONDS = STOP_SECONDS = 30


class Identity(NamedTuple):
    """Another identity of a process: its `umask`, its working folder, and the `command` that becomes another user."""

    umask: int = -1
    cwd: Path | None = None
    command: tuple[str, ...] = ()


class Process:
    """One `bacalhau serve`, leader of a process group that ends with the tests."""

    def __init__(
        self,
        args: list[str],
        folder: Path,
        log: Path,
        environment: dict[str, str],
        identity: Identity | None = None,
    ) -> None:
        """`identity` of the process, where it is not that of the tests."""
        self._identity, self._args = identity or Identity(), args
        self._command = [*self._identity.command, "setpriv", "--pdeathsig", "KILL", PROGRAM, "serve", *args]
        self.folder, self._log, self._environment = folder, log, environment | {"BACALHAU_DIR": str(folder)}
        self._changed = threading.Condition()
        self.lines: list[str] = []

    def start(self, **more: str) -> None:
        """`more` variables for this one life."""
        environment = self._environment | more
        self.child = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            umask=self._identity.umask,
            cwd=self._identity.cwd,
        )
        self._reader = threading.Thread(target=self._read, args=(self.child.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream) -> None:
        with self._log.open("a") as log:
            for line in stream:
                log.write(line)
                log.flush()
                self._note(line)
        self._note("(the log ends here)")

    def _note(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def until(self, text: str, since: int, seconds: float = START_SECONDS) -> str:
        """The first line with `text` from line `since` on."""

        def found() -> str | None:
            return next((line for line in self.lines[since:] if text in line), None)

        with self._changed:
            line = self._changed.wait_for(found, seconds)
        assert line, f"no {text!r} in the log of serve {' '.join(self._args[:3])}:\n" + "".join(self.lines[-30:])
        return line

    @property
    def is_running(self) -> bool:
        return hasattr(self, "child") and self.child.poll() is None

    def kill(self) -> None:
        """SIGKILL to the process and all its children at once."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self._ended()

    def until_killed(self, seconds: float = START_SECONDS) -> None:
        """It kills itself at a failpoint; its children go with it."""
        assert self.child.wait(seconds) == -signal.SIGKILL, "".join(self.lines[-30:])
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code."""
        if self.is_running:
            self.child.terminate()
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGABRT)
                raise AssertionError("serve does not end:\n" + "".join(self.lines[-30:])) from None
        return self._ended()

    def _ended(self) -> int:
        code = self.child.wait(10)
        self._reader.join(10)
        self.child.stderr.close()
        return code


class System:
    """`with System(folder, docker_url) as system`: an orchestrator with a node, in one process, or in two when `split`.

    `settings` are configuration keys, for `serve -c` (when split, the orchestrator gets its own section alone);
    `variables` are added to the environment, by default the owner's credentials for S3; `identity` is that of each
    process. Left by killing everything that still runs.
    """

    def __init__(
        self,
        folder: Path,
        docker_url: str,
        *,
        image: str = "",
        split: bool = False,
        settings: dict[str, Any] | None = None,
        variables: dict[str, str] | None = None,
        node_dir: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.image, self.split = folder, image, split
        self.port, self.nats_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = (
            bare_environment(folder) | {"DOCKER_HOST": docker_url} | (OWNER if variables is None else variables)
        )
        # However slow this machine: who comes back keeps its work. And no two systems serve results on one port.
        own = {"Orchestrator.NodeManager.LostGrace": "60s", "Publishers.Types.Local.Port": free_port()}
        self.settings = own | (settings or {})
        self._docker_url, self._identity = docker_url, identity
        self._processes: list[Process] = []
        self.dir = folder / "orchestrator"
        self.node_dir = node_dir or (folder / "node" if split else self.dir)
        roles = ["--orchestrator"] if split else ["--orchestrator", "--compute"]
        mine = {key: value for key, value in self.settings.items() if not split or key.startswith("Orchestrator.")}
        self.orchestrator = self.process(
            self.dir, roles, {"API.Port": self.port, "Orchestrator.Port": self.nats_port} | mine
        )
        self.node = self.add_node(self.node_dir) if split else self.orchestrator
        self._stack = ExitStack()

    def add_node(self, folder: Path, *args: str, **more: str) -> Process:
        """A node in a process of its own, not started yet."""
        return self.process(
            folder,
            ["--compute", *args],
            {"Compute.Orchestrators": f"nats://127.0.0.1:{self.nats_port}"} | self.settings,
            **more,
        )

    def process(self, folder: Path, args: list[str], settings: dict[str, Any], **more: str) -> Process:
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._processes.append(
            Process(
                [*args, *flags], folder, self.folder / f"{folder.name}.log", self.environment | more, self._identity
            )
        )
        return self._processes[-1]

    def __enter__(self) -> "System":
        self._stack.callback(self._end)
        try:
            self.start()
            self.client = self._stack.enter_context(Client(self.url))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        for process in self._processes:
            if process.is_running:
                process.kill()
        for node_dir in {process.folder for process in self._processes}:
            self._remove_containers(load_identity(node_dir).id)

    def _remove_containers(self, node_id: str) -> None:
        """What a test that failed has left."""
        docker = ["docker", "--host", self._docker_url]
        listed = subprocess.run(
            [*docker, "ps", "-aq", "--filter", f"label=bacalhau-executor={node_id}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if left := listed.stdout.split():
            subprocess.run([*docker, "rm", "-f", *left], capture_output=True, check=False)

    def start(self) -> None:
        """Start what does not run, and wait until both APIs answer and the node has joined."""
        mark = len(self.orchestrator.lines)
        if not self.orchestrator.is_running:
            self.orchestrator.start()
            self.orchestrator.until("API: ", mark)
        if not self.node.is_running:
            own_mark = len(self.node.lines)
            self.node.start()
            self.node.until("API of this node alone: ", own_mark)
        self.until_joined(mark)

    def until_joined(self, mark: int) -> None:
        """From line `mark` of the orchestrator's log on."""
        self.orchestrator.until(f"node {self.node_id} joined", mark)

    def kill(self) -> None:
        for process in {self.orchestrator, self.node}:
            process.kill()

    def kill_messages(self) -> None:
        """SIGKILL to the message server alone; the orchestrator starts it again."""
        pid = int((self.dir / "orchestrator" / "nats" / "nats-server.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """In order, as a person would: the exit codes are 0."""
        codes = [process.stop() for process in dict.fromkeys((self.node, self.orchestrator))]
        assert set(codes) == {0}

    @property
    def node_id(self) -> str:
        return load_identity(self.node_dir).id

    def cli(
        self, *args: object, code: int | None = 0, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess:
        """A command of a client that has no credentials of any kind; `code` None takes any."""
        done = subprocess.run(
            [PROGRAM, *map(str, args)],
            capture_output=True,
            text=True,
            cwd=cwd or self.folder,
            env=self.client_environment | more,
            timeout=120,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}: {done.stderr or done.stdout}"
        return done

    @contextmanager
    def following(self, *args: object, seconds: float = 30) -> Iterator[subprocess.Popen]:
        """A command whose output is read while it runs; its time is limited, so that reading ends."""
        command = [PROGRAM, *map(str, args)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=self.client_environment
        ) as child:
            limit = threading.Timer(seconds, child.kill)
            limit.start()
            try:
                yield child
            finally:
                limit.cancel()
                limit.join()
                child.kill()

    @property
    def client_environment(self) -> dict[str, str]:
        own = {
            "BACALHAU_DIR": str(self.folder / "client"),
            "BACALHAU_API_HOST": "127.0.0.1",
            "BACALHAU_API_PORT": str(self.port),
        }
        return bare_environment(self.folder) | own

    def submit(self, script: str, **changes: Any) -> str:
        """A job of one shell script; see `shell_job`."""
        return self.client.submit(shell_job(self.image, script, **changes))

    def run(self, script: str, **changes: Any) -> Job:
        return self.client.wait(self.submit(script, **changes), 60)

    def output(self, job_id: str) -> str:
        """What the last execution printed on stdout, as it stands in the record."""
        return self.client.executions(job_id)[-1].run_output.stdout

    def until_event(self, job_id: str, true: Callable[[Any], bool], seconds: float = 30) -> Any:
        """The first event of the job's history that is as wanted."""
        token = ""
        for _ in range(100):
            answer = self.client.history(job_id, wait=min(seconds, 20), next_token=token)
            for item in answer.items:
                if true(item):
                    return item
            token = answer.next_token
            if not token:
                break
        raise AssertionError(
            f"it did not happen to {job_id}: {[i.event.message for i in self.client.history(job_id).items]}"
        )


def new_node_name() -> str:
    """Nobody else's on the same daemon: a node removes containers of its name that it does not know."""
    return new_node_id()[:10]


def shell_job(
    image: str, script: str, *, job: dict[str, Any] | None = None, engine: dict[str, Any] | None = None, **task: Any
) -> dict[str, Any]:
    """`task` are fields of the task, `engine` of its engine, `job` of the job. Without a network, which
    starts sooner.
    """
    params = {"Image": image, "Parameters": ["sh", "-c", script]} | (engine or {})
    fields = {
        "Name": "main",
        "Engine": {"Type": "docker", "Params": params},
        "Network": {"Type": "None"},
        "Resources": {"CPU": "0.1", "Memory": "64mb"},
    }
    return {"Type": "batch", "Count": 1, "Tasks": [fields | task]} | (job or {})


def s3_publisher(endpoint: str, bucket: str, key: str) -> dict[str, Any]:
    return {"Type": "s3", "Params": {"Bucket": bucket, "Key": key, "Endpoint": endpoint, "Region": "us-east-1"}}


def s3_input(endpoint: str, bucket: str, key: str, target: str = "/inputs", **params: Any) -> dict[str, Any]:
    own = {"Bucket": bucket, "Key": key, "Endpoint": endpoint, "Region": "us-east-1"} | params
    return {"Source": {"Type": "s3", "Params": own}, "Target": target}


def bare_environment(folder: Path) -> dict[str, str]:
    """Nothing of this machine's owner: neither credentials nor configuration."""
    home = folder / "home"
    with suppress(FileExistsError):
        home.mkdir()
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "BACALHAU_", "DOCKER_"))}
    return mine | {"HOME": str(home), "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true"}
