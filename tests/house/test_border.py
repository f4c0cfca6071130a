"""Raw tools that strangers' data must not reach stay below `src/bacalhau/border`, which bounds them.

`pyproject.toml` holds the modules that only the border imports; here are the calls.
"""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src/bacalhau"
PATTERNS = ("compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer")
CLOSED = {
    "aiohttp.ClientSession": "use border.connect.open_session: it obeys the rule of addresses and reads no ~/.netrc",
    "aiohttp.request": "use border.connect.open_session: it obeys the rule of addresses and reads no ~/.netrc",
    "urllib.request.urlopen": "use border.connect.open_session: it obeys the rule of addresses",
    "shutil.unpack_archive": "use border.archive.unpack: it has limits",
    "ET.XMLParser": "parse with ET.fromstring, whose entities are bounded",
    "eval": "nothing of a stranger is a program",
    "exec": "nothing of a stranger is a program",
}


def faults(text: str) -> list[str]:
    """List the closed calls of a module: those of CLOSED, and patterns that a function makes at run time."""
    tree = ast.parse(text)
    inside = {
        id(call)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for call in ast.walk(function)
    }
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        if name in CLOSED:
            found.append(f"line {call.lineno}: {name}: {CLOSED[name]}")
        is_pattern = name.startswith("re.") and name[3:] in PATTERNS and call.args
        if is_pattern and id(call) in inside and not isinstance(call.args[0], ast.Constant):
            found.append(f"line {call.lineno}: {ast.unparse(call)[:80]}: use border.patterns for texts of strangers")
    return found


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if not path.is_relative_to(SOURCE / "border")]


def test_strangers_reach_no_raw_tool():
    found = [f"{path.relative_to(SOURCE)}, {fault}" for path in MODULES for fault in faults(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return re.compile(x)",
        "def f(x, y): return re.fullmatch(f'a{x}', y)",
        "find = lambda x, y: re.search(x, y)",
        "async def f():\n    async with aiohttp.ClientSession() as s: ...",
        "SESSION = aiohttp.ClientSession()",
        "def f(x): return eval(x)",
    ],
)
def test_what_is_closed_is_found(text):
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "text", ["def f(y): return re.search('a*', y)", "A = re.compile('|'.join(WORDS))", "def f(x): return x.search('a')"]
)
def test_constant_patterns_are_open(text):
    assert faults(text) == []
