"""The house rules that no linter holds."""

import ast
import re
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src/bacalhau").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PUBLIC_FACES = {"src/bacalhau/__init__.py", "src/bacalhau/client/__init__.py"}
BANNED = {"utils", "helpers", "common", "manager", "base", "impl"}
# Where a fault must not end its neighbours: a task, an answer or a plug-in of many, a thread whose callers get the
# error.
SUPERVISED = {
    f"src/bacalhau/{path}"
    for path in (
        "app/plugins.py",
        "compute/execution/prefetch.py",
        "compute/machine/fingerprint.py",
        "compute/messages/inbox.py",
        "compute/recovery.py",
        "orchestrator/evaluation/evaluate.py",
        "bus/acked.py",
        "bus/callout.py",
        "bus/log_producer.py",
        "bus/request.py",
        "plugins/loading.py",
        "store/worker.py",
    )
}


def name(path):
    return str(path.relative_to(ROOT))


def functions():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def lines_of(path):
    return len(path.read_text().splitlines())


def test_a_file_fits_its_budget():
    assert [(name(p), lines_of(p)) for p in [*SOURCES, *TESTS] if lines_of(p) > 500] == []
    assert statistics.median(lines_of(p) for p in SOURCES if lines_of(p)) <= 130


def test_functions_are_short():
    assert statistics.median(node.end_lineno - node.body[0].lineno + 1 for _, node in functions()) <= 8


def test_packages_are_empty_but_the_public_faces():
    packages = [p for p in SOURCES if p.name == "__init__.py" and name(p) not in PUBLIC_FACES]
    assert [name(p) for p in packages if p.read_text().strip()] == []


def test_modules_say_why_they_are_here():
    assert [name(p) for p in SOURCES if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_no_module_is_called_after_nothing():
    assert [name(p) for p in SOURCES if p.stem in BANNED] == []


def test_nothing_is_left_for_later():
    words = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [name(p) for p in SOURCES if words.search(p.read_text())] == []


def test_tests_neither_sleep_nor_skip():
    words = re.compile(r"(time|asyncio|anyio)\.sleep\(|mark\.skip|mark\.xfail|pytest\.skip\(")
    assert [name(p) for p in TESTS if p != Path(__file__) and words.search(p.read_text())] == []


def test_tests_hardly_mock():
    texts = [p.read_text() for p in TESTS if p != Path(__file__)]
    mocks = sum(len(re.findall(r"\b(Mock|MagicMock|AsyncMock|mock\.patch)\(", t)) for t in texts)
    tests = sum(len(re.findall(r"^\s*(?:async )?def test_", t, re.M)) for t in texts)
    assert mocks <= tests * 5 / 100


def swallows_everything(node):
    broad = isinstance(node, ast.ExceptHandler) and (
        node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
    )
    return broad and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)


def test_broad_excepts_are_supervised():
    found = {name(p) for p in SOURCES for node in ast.walk(ast.parse(p.read_text())) if swallows_everything(node)}
    assert found - SUPERVISED == set()


def test_nobody_else_asks_the_machine_what_time_it_is():
    """Its clock may jump; files have its time all the same."""
    words = re.compile(r"\btime\.time(_ns)?\b|datetime\.now\(|utcnow\(")
    of_files = {"src/bacalhau/compute/recovery.py", "src/bacalhau/lib/clock.py"}
    assert {name(p) for p in SOURCES if words.search(p.read_text())} - of_files == set()


def test_one_function_writes_to_the_terminal():
    """Texts of strangers are escaped there; the output of jobs goes past it, as it is."""
    writing = re.compile(r"click\.s?echo\b|(?<![\w.])print\(|\bstd(out|err)\.write|\bout\.write\(")
    found = {name(p) for p in SOURCES if name(p).startswith("src/bacalhau/cli/") and writing.search(p.read_text())}
    assert found == {"src/bacalhau/cli/frame/say.py", "src/bacalhau/cli/output/printing.py"}


def test_texts_of_others_are_read_in_one_way():
    """Each other way raises errors of its own for text that is not UTF-8, nested too deep, or no number."""
    words = re.compile(r"json\.(loads?|decode|Decoder)\(|\.json\(\)|yaml\.(safe_|full_)?load|safe_load\b")
    found = {name(p) for p in SOURCES if words.search(p.read_text())}
    assert found == {f"src/bacalhau/lib/{module}.py" for module in ("json_text", "wire", "yaml_text")}
