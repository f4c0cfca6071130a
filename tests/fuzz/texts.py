"""Files of users: job files and configuration files that are broken in every way end in one clear error, and soon."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from hypothesis import strategies as st

from bacalhau.api.app import check_access
from bacalhau.app.plugins import orchestrator_plugins
from bacalhau.app.quotas import read_quotas
from bacalhau.app.reach import node_reach
from bacalhau.cli.frame.program import run
from bacalhau.config.load import load_config
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.job.job import Job
from bacalhau.models.seed.seed import SeedJob
from tests.fuzz.search import Search
from tests.fuzz.target import Target
from tests.fuzz.values import bodies, of_type, rendered

SECONDS = 15.0
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [" + ",".join([f"*a{n}"] * 9) + "]\n" for n in range(30)
)
ODD = """
&a {Name: x, Tasks: *a}~&a [*a]~{Tasks: &t [*t]}~{Labels: &l {a: *l}}~{API: &a {Port: 1, Host: *a}}~{Labels: &a {b: *a}}
? [a, b]~? {a: b}~: x~{Count: .inf}~{Count: .nan}~{Priority: 1e400}~{Count: 0x7fffffffffffffff}~{Count: 1_000}
{Count: 0b1}
Name: 2024-99-99~Name: 2024-01-01T99:99:99Z~Name: !!binary AAAA~Name: !!binary é~Name: !!python/object:os.system x
Name: !!set {a}~Name: !!omap [a: b]~Name: !!float x~Name: !!int x~Name: !!timestamp x~Name: !unknown x~--- a
--- a\\n--- b
%YAML 9.9~%TAG ! x~{{~{{.}}~{{range .}}~{{ "\\xzz" }}~\\t- a~"\\ud800"~"\\x"~'~|~>~-~*a~&a~!~@~`
<<: 1~{<<: [1]}~{<<: {Name: a}}
{a: 1, a: 2}~[1~{1: 2}~{true: 2}~{null: 2}~Orchestrator: {Scheduler: {Quotas: {a: {CPU: .nan}}}}
API: {Auth: {Users: [1]}}
Orchestrator: {Scheduler: {Quotas: {a: {CPU: 1e999}}}}~InputSources: {AllowedNetworks: [x]}~{Compute: null}~{Compute: 1}
"""
TEXTS = [
    BOMB,
    *(word.replace("\\n", "\n").replace("\\t", "\t") for line in ODD.strip().split("\n") for word in line.split("~")),
]
TEXTS += ["[" * n for n in (500, 5000, 50_000)] + ["{a: " * n for n in (500, 5000)] + ["- " * 3000, "a: 1" * 9999]
TEXTS += ["{API: " * n + "1" + "}" * n for n in (100, 1000, 3000)] + ["Count: " + "9" * 5000, "? " * 3000, "'" * 99_999]
TEXTS += ["{{" + "(" * 5000, "{{if true}}" * 3000, "{{" + "9" * 5000 + "}}", "{{ . | " * 3000]


@contextmanager
def limited(what: object) -> Iterator[None]:
    """Raise AssertionError for what takes too long."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it took more than {SECONDS:g} s: {str(what)[:2000]!r}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _files(*kinds: Any) -> st.SearchStrategy[bytes]:
    """Texts of files: JSON and YAML of these types, with faults, and what is neither."""
    written = [of_type(kind).map(rendered).map(_as_yaml) for kind in kinds]
    return st.one_of(
        *map(bodies, kinds), *written, st.sampled_from(TEXTS).map(lambda t: t.encode("utf-8", "surrogatepass"))
    )


def _as_yaml(text: bytes) -> bytes:
    try:
        return yaml.safe_dump(yaml.safe_load(text)).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def knock_jobs(target: Target, search: Search) -> None:
    """Check and explain job files as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.yaml"
        server = ["--api-host", "127.0.0.1", "--api-port", str(target.port)]

        def holds(text: bytes) -> None:
            path.write_bytes(text)
            for command in (["validate"], ["job", "validate"], ["job", "run", "--dry-run", *server]):
                _said([*command, str(path)], text)

        search.run(holds, _files(Job, SeedJob))


def _said(args: list[str], text: bytes) -> None:
    """Run a command: it succeeds, or tells an error in words."""
    out, err = StringIO(), StringIO()
    with limited(text), redirect_stdout(out), redirect_stderr(err):
        code = run(args)
    assert code in (0, 1), (code, args)
    assert code == 0 or "Error" in err.getvalue() or err.getvalue().startswith("error "), (args, err.getvalue())
    assert "500" not in err.getvalue() or "Internal" not in err.getvalue(), err.getvalue()


def knock_settings(search: Search) -> None:
    """Load configuration files as `serve` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"

        def holds(text: bytes) -> None:
            path.write_bytes(text)
            with limited(text):
                _refused_or(lambda: _settle(path))

        search.run(holds, _files(Config))


def _settle(path: Path) -> None:
    config = load_config([str(path)], {}, {})
    check_access(config.api)
    node_reach(config)
    read_quotas(config.orchestrator.scheduler.quotas)
    orchestrator_plugins(config)


def _refused_or(act: Callable[[], None]) -> None:
    try:
        act()
    except BacalhauError as e:
        assert str(e)
