"""Faults of a YAML text in one line; the library itself is loaded by those who need it."""


def yaml_fault(error: Exception) -> str:
    """`broken YAML at line 2, column 1: …`, lines and columns counted from 1."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    told = getattr(error, "problem", None) or getattr(error, "context", None) or " ".join(str(error).split())
    return f"broken YAML{where}: {told}"
