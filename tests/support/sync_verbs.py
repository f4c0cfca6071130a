"""Writes the verbs of the client without `await` from those of the asynchronous client: `make sync`.

Of each public method the signature and the docstring are kept, without `async` and `await`; the body runs the
asynchronous one on the client's loop. A test holds that the files are what this module writes.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "src/bacalhau/client"
MODULES = ("jobs", "listing", "outputs", "nodes")
RUFF = str(Path(sys.executable).with_name("ruff"))
HEAD = '''"""{first}

Written by `make sync` from `{module}`.
"""

{imports}
from bacalhau.client.blocking import Blocking
from bacalhau.client.{module} import {classes}
'''
SHAPES = (
    (re.compile(r"^AsyncGenerator\[(.*), None\]$", re.S), r"Iterator[\1]", "_each"),
    (re.compile(r"^Coroutine\[Any, Any, (.*)\]$", re.S), r"\1", "_run"),
)


def write(module: str) -> str:
    """The text of `sync_MODULE.py`."""
    tree = ast.parse((CLIENT / f"{module}.py").read_text())
    imports = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    kinds = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name.endswith("Verbs")]
    named = [
        n.id for part in tree.body if isinstance(part, ast.Assign) for n in part.targets if isinstance(n, ast.Name)
    ]
    text = HEAD.format(
        first=(ast.get_docstring(tree) or "").partition("\n")[0],
        module=module,
        imports="\n".join(["from collections.abc import Iterator", *imports]),
        classes=", ".join([*(k.name for k in kinds), *(n for n in named if n[0].isupper())]),
    )
    for kind in kinds:
        text += f"\n\n{_write_class(kind)}"
    return _formatted(_synchronous(text), module)


def _synchronous(text: str) -> str:
    """Name the classes of the client without `await`."""
    return re.sub(r"\bAsyncJob\b", "Job", text)


def _write_class(kind: ast.ClassDef) -> str:
    bases = [ast.unparse(b) for b in kind.bases]
    above = ", ".join("Blocking" if b == "Conversation" else f"Sync{b}" for b in bases)
    parts = [f'class Sync{kind.name}({above}):\n    """{ast.get_docstring(kind)}"""\n\n    _client: {kind.name}\n']
    methods = [n for n in kind.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    parts += [_write_verb(n) for n in methods if not n.name.startswith("_")]
    more = [b for b in bases if b != "Conversation"]
    imports = "".join(f"from bacalhau.client.sync_{_home(b)} import Sync{b}\n" for b in more)
    return imports + "\n".join(parts)


def _home(kind: str) -> str:
    return next(m for m in MODULES if f"class {kind}(" in (CLIENT / f"{m}.py").read_text())


def _write_verb(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    result, how = ast.unparse(method.returns or ast.Constant(None)), ""
    how = "_run" if isinstance(method, ast.AsyncFunctionDef) else ""
    for pattern, ours, name in SHAPES:
        if pattern.match(result):
            result, how = pattern.sub(ours, result), name
    call = f"self._client.{method.name}({_passed_on(method.args)})"
    doc = ast.get_docstring(method)
    told = '    """' + re.sub(r"\b(await|async) ", "", doc).replace("\n", "\n    ") + '\n    """\n' if doc else ""
    body = f"    return self.{how}({call})" if how else f"    return {call}"
    head = f"def {method.name}({ast.unparse(method.args)}) -> {result}:\n"
    return "".join(f"    {line}\n" if line.strip() else "\n" for line in (head + told + body).splitlines())


def _passed_on(args: ast.arguments) -> str:
    plain = [a.arg for a in args.args[1:]]
    named = [f"{a.arg}={a.arg}" for a in args.kwonlyargs]
    rest = [f"*{args.vararg.arg}"] if args.vararg else []
    return ", ".join([*plain, *rest, *named, *([f"**{args.kwarg.arg}"] if args.kwarg else [])])


def _formatted(text: str, module: str) -> str:
    path = f"{CLIENT}/sync_{module}.py"
    for words in (["check", "-q", "--select", "F401,I", "--fix"], ["format", "-q"]):
        done = subprocess.run([RUFF, *words, "--stdin-filename", path, "-"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text = done.stdout
    return text


if __name__ == "__main__":
    for each in MODULES:
        (CLIENT / f"sync_{each}.py").write_text(write(each))
