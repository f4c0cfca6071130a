"""Docstrings begin like a sentence that a stranger understands."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/bacalhau"
RIDDLES = set(
    [
        "What",
        "Where",
        "Who",
        "Which",
        "How",
        "Why",
        "Whether",
        "Of",
        "For",
        "As",
        "Without",
        "None",
        "True",
        "False",
        "Those",
        "From",
        "In",
        "With",
        "By",
        "At",
        "Asked",
        "Its",
        "Raises",
        "Returns",
    ]
)


def first_words():
    """Yield the place and the first word of every docstring."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = (ast.get_docstring(node) or "").split()
                if words:
                    yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", words[0].strip("`.,:;")


def test_no_docstring_begins_with_a_riddle():
    assert [(place, word) for place, word in first_words() if word in RIDDLES] == []
