"""Every block of the README, in order, as a new user types it, against a real devstack with its S3 server and Docker.

A block runs in one folder with what the blocks before it left: files, and the servers that it says to
start. `STAND_INS` says what is put in the place of what the outside world would have to give.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bacalhau.app.devstack import free_port
from bacalhau.app.sample import RESULT_BUCKET
from tests.support.system import PROGRAM, bare_environment

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
STAND_INS = [
    (r"make demo", "bacalhau demo"),  # the rest of that target is the set-up that these tests run in
    (
        r"pip install '\.(\[\w+\])'",
        r"pip install --dry-run --no-index 'bacalhau\1'",
    ),  # as it is installed for the tests
    (r"(bacalhau devstack .*--s3)", r"\1 --random-ports"),
    (r"(bacalhau serve .*--compute)", r"\1 -c API.Port={api} -c Orchestrator.Port={bus}"),
    (r"\b(alpine|ubuntu)\b", "{image}"),
    (r"s3://my-bucket/", f"s3://{RESULT_BUCKET}/"),
]
SERVERS = {"bacalhau devstack": "export AWS_ENDPOINT_URL_S3=", "bacalhau serve": "API: "}  # the last line of a start


def test_every_block_is_of_a_kind_that_is_run():
    assert {kind for kind, _ in BLOCKS} == {"sh", "yaml", "python"}


class Reader:
    """A new user's shell."""

    def __init__(self, folder, docker_url, image):
        tools = Path(PROGRAM).parent
        self.folder, self._image = folder, image
        self.environment = bare_environment(folder) | {
            "DOCKER_HOST": docker_url,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(folder),
        }
        self.servers = ExitStack()

    def run(self, kind, text):
        if kind == "yaml":
            (self.folder / text.splitlines()[0].removeprefix("# ")).write_text(self._with_stand_ins(text))
        elif kind == "python":
            self._must([sys.executable, "-c", text])
        else:
            self._shell(self._with_stand_ins(text))

    def _with_stand_ins(self, text):
        for pattern, there in STAND_INS:
            there = there.replace("{image}", self._image)
            text = re.sub(pattern, lambda found, there=there: found.expand(there), text)
        return text.replace("{api}", str(free_port())).replace("{bus}", str(free_port()))

    def _shell(self, text):
        lines = [line for line in text.splitlines() if line.startswith(tuple(SERVERS))]
        for line in lines:
            self._serve(line.partition(" #")[0])
        rest = "\n".join(line for line in text.splitlines() if line not in lines)
        self._must(["sh", "-ec", rest])

    def _must(self, command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        assert "WARNING" not in done.stderr + done.stdout  # of pip, that what is to be installed is not there

    def _serve(self, line):
        ready = next(text for start, text in SERVERS.items() if line.startswith(start))
        child = self.servers.enter_context(self._started(line))
        for told in child.stdout:
            if told.startswith("export "):
                name, _, value = told.removeprefix("export ").strip().partition("=")
                self.environment[name] = value
            if told.startswith(ready):
                return
        raise AssertionError(f"{line} did not start")

    @contextmanager
    def _started(self, line):
        command = ["env", "--default-signal=INT", "setpriv", "--pdeathsig", "KILL", *shlex.split(line)]
        child = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        with child:
            yield child
            child.send_signal(signal.SIGINT)
            rest = child.stdout.read()
            assert child.wait(30) == 0 and "Traceback" not in rest, rest


def test_the_readme_runs_as_it_is_printed(anyio_backend, docker_url, docker_image, tmp_path):
    reader = Reader(tmp_path, docker_url, docker_image)
    with reader.servers:
        for kind, text in BLOCKS:
            reader.run(kind, text)
    assert len(list((tmp_path / "results" / "outputs").iterdir())) == 20
    assert (tmp_path / "from-python" / "outputs" / "hello.txt").read_text() == "hello\n"
