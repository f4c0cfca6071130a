"""Pages of the documentation as a reader follows them: blocks in order, in one shell for each page.

A block of `sh` is typed, one of `python` is run, and any other whose first line is a comment with a file name is
written to that file. A block of `text` behind one of them is what it printed: `…` in a line stands for any text, a
line `…` for any lines. A comment before a block says more: `<!-- exit 1 -->` how it ends, `<!-- not run: REASON -->`
why no test can run it.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.support.ports import free_port
from tests.support.system import PROGRAM, bare_environment

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN = ("sh", "python")
FILE_NAME = re.compile(r"^(?:#|//) (\S+\.\w+)$")
_MARK = re.compile(r"^<!-- (exit|not run:) (.+) -->$")
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*$")
_ENDS = {"exit": "exit", "not run:": "why"}
SERVERS = {"bacalhau devstack": "export AWS_ENDPOINT_URL_S3=", "bacalhau serve": "API"}  # the last line of a start
SECONDS = 300  # for one block


class Block(NamedTuple):
    """A block of a page. `exit` is the code that it ends with, `why` the reason why it is not run, `shown` what it
    printed, None where the page does not say.
    """

    kind: str
    text: str
    line: int
    exit: int = 0
    why: str = ""
    shown: str | None = None

    @property
    def file(self) -> str:
        """The file that the block is written to; "" for none."""
        found = FILE_NAME.match(self.text.partition("\n")[0])
        return found[1] if found else ""


class Page(NamedTuple):
    """A page: `needs` says what has to be there before its first block."""

    path: Path
    needs: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def list_pages() -> list[Path]:
    """List the README and every page of docs/ that somebody wrote."""
    written = [path for path in DOCS.rglob("*.md") if not path.is_relative_to(DOCS / "plugin")]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(written)]


def read_page(path: Path) -> Page:
    """Read a page. Raises ValueError for a mark without a block, and for output of no block."""
    text = path.read_text()
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    needs = yaml.safe_load(front[1]).get("needs", []) if front else []
    return Page(path, tuple(needs), tuple(_attached(_blocks(text.splitlines()))))


def _blocks(lines: list[str]) -> Iterator[Block]:
    mark: re.Match[str] | None = None
    rest = iter(enumerate(lines, 1))
    for number, line in rest:
        fence = _FENCE.match(line)
        if fence:
            inner = []
            for _, each in rest:
                if each.strip() == "```":
                    break
                inner.append(each.removeprefix(fence[1]))
            more = {_ENDS[mark[1]]: int(mark[2]) if mark[1] == "exit" else mark[2]} if mark else {}
            yield Block(fence[2], "\n".join(inner) + "\n", number, **more)
            mark = None
        elif line.strip():
            if mark:
                raise ValueError(f"line {number}: a mark stands before no block")
            mark = _MARK.match(line.strip())


def _attached(blocks: Iterator[Block]) -> list[Block]:
    """Give outputs to the blocks that printed them."""
    found: list[Block] = []
    for block in blocks:
        if block.kind != "text":
            found.append(block)
        elif found and found[-1].kind in RUN and found[-1].shown is None:
            found[-1] = found[-1]._replace(shown=block.text)
        elif not block.why:
            raise ValueError(f"line {block.line}: text that no block before it has printed")
    return found


def matches(printed: str, shown: str) -> bool:
    """Tell whether what was printed is what a page shows."""
    lines = [_pattern(line) for line in shown.rstrip().splitlines()]
    text = printed.rstrip()
    return re.fullmatch("".join(lines), f"{text}\n" if text else "") is not None


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:[^\n]*\n)*"
    words = [re.escape(word) for word in line.rstrip().split("…")]
    return r"[^\n]*?".join(words) + r" *\n"


class Reader:
    """A new user's shell in a folder of its own, which is also its home. `stand_ins` are patterns, and what is put in
    their place, because the world outside is not there.
    """

    def __init__(self, folder: Path, environment: dict[str, str], stand_ins: list[tuple[str, str]]) -> None:
        self.folder, self._stand_ins = folder, stand_ins
        tools = Path(PROGRAM).parent
        self._environment = (
            bare_environment(folder)
            | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(folder), "PYTHON": sys.executable}
            | environment
        )
        self._stack = ExitStack()
        self._number = 0

    def __enter__(self) -> "Reader":
        self._shell = self._stack.enter_context(self._started(["bash"], stdin=subprocess.PIPE))
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._stack.close()

    def run(self, block: Block) -> None:
        """Do what a block says. Raises AssertionError when it ends otherwise, or prints something else."""
        text = self._with_stand_ins(block.text)
        if block.file:
            (self.folder / block.file).write_text(text)
        elif block.kind == "python":
            self._must(block, f"{shlex.quote(sys.executable)} {self._file(block.text)}")
        elif block.kind == "sh":
            lines = [line for line in text.splitlines() if line.startswith(tuple(SERVERS))]
            for line in lines:
                for name, value in self.serve(line.partition(" #")[0]).items():
                    self._write(f"export {name}={shlex.quote(value)}\n")
            rest = "\n".join(line for line in text.splitlines() if line not in lines)
            if rest.strip():
                self._must(block, f". {self._file(rest)}")

    def _with_stand_ins(self, text: str) -> str:
        for pattern, there in self._stand_ins:
            text = re.sub(pattern, there, text)
        return text.replace("{api}", str(free_port())).replace("{bus}", str(free_port()))

    def _file(self, text: str) -> str:
        self._number += 1
        path = self.folder / "home" / f"block-{self._number}"
        path.write_text(text)
        return str(path)

    def _must(self, block: Block, command: str) -> None:
        """Run a command in the shell and compare its end and its output with the block's. The shell itself ends with
        the first line that fails, so a block that shall fail runs in a shell below it.
        """
        end = f"--- end of block {self._number}"
        whole = f"{command} </dev/null"
        self._write(f"(set -e; {whole}); code=$?\n" if block.exit else f"set -e; {whole}; set +e; code=0\n")
        self._write(f"echo; echo '{end}' $code\n")
        printed, code = self._until(end)
        told = f"line {block.line}:\n{block.text}\nprinted:\n{printed}"
        assert code == block.exit and "Traceback" not in printed, f"{told}\nexit {code}"
        assert "WARNING" not in printed, told  # of pip, that what is to be installed is not there
        assert block.shown is None or matches(printed, block.shown), f"{told}\nand not:\n{block.shown}"

    def _write(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _until(self, end: str) -> tuple[str, int]:
        """Read what the shell prints up to a line; return it with the exit code behind that line, or the shell's."""
        assert self._shell.stdout is not None
        limit = threading.Timer(SECONDS, self._shell.kill)
        limit.start()
        lines = []
        try:
            for line in self._shell.stdout:
                if line.startswith(end):
                    return "".join(lines).removesuffix("\n"), int(line.removeprefix(end))
                lines.append(line)
        finally:
            limit.cancel()
        return "".join(lines), self._shell.wait()

    def serve(self, line: str) -> dict[str, str]:
        """Start a server that lives as long as the reader; return the environment that it prints for its users."""
        ready = next(text for start, text in SERVERS.items() if line.startswith(start))
        command = ["env", "--default-signal=INT", "setpriv", "--pdeathsig", "KILL", *shlex.split(line)]
        child = self._stack.enter_context(self._stopped(command))
        environment, printed = {}, []
        for told in child.stdout or ():
            printed.append(told)
            if told.startswith("export "):
                name, _, value = told.removeprefix("export ").strip().partition("=")
                environment[name] = value
            if told.startswith(ready):
                return environment
        raise AssertionError(f"{line} did not start:\n{''.join(printed)}")

    @contextmanager
    def _stopped(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        with self._started(command) as child:
            yield child
            child.send_signal(signal.SIGINT)
            rest = child.stdout.read() if child.stdout else ""
            assert child.wait(30) == 0 and "Traceback" not in rest, rest

    @contextmanager
    def _started(self, command: list[str], stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child:
            yield child
