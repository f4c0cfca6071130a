"""The result tree of an execution: stdout, stderr, exitCode and one directory per result path."""

import shutil
from pathlib import Path

from bacalhau.models.execution import OUTPUT_LIMIT, RunCommandResult
from bacalhau.models.job import Task
from bacalhau.ports.engine import Mount

EXIT_CODE = "exitCode"


def make_result_tree(task: Task, result: Path) -> tuple[Mount, ...]:
    """Create the tree; the output directories are writable for any user of the image."""
    result.mkdir(parents=True, exist_ok=True)
    for stream in ("stdout", "stderr"):
        (result / stream).touch()
    mounts = []
    for output in task.result_paths or ():
        folder = result / output.name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        mounts.append(Mount(folder, output.path, False))
    return tuple(mounts)


def write_exit_code(result: Path, code: int) -> None:
    (result / EXIT_CODE).write_text(str(code))


def read_exit_code(result: Path) -> int | None:
    """None while the task has not ended."""
    path = result / EXIT_CODE
    return int(path.read_text() or "0") if path.exists() else None


def read_output(result: Path, code: int, error: str = "") -> RunCommandResult:
    """The first OUTPUT_LIMIT bytes of each stream, for the record."""
    stdout, out_cut = _head(result / "stdout")
    stderr, err_cut = _head(result / "stderr")
    return RunCommandResult(stdout=stdout, stdout_truncated=out_cut, stderr=stderr, stderr_truncated=err_cut, exit_code=code, error_msg=error)


def _head(path: Path) -> tuple[str, bool]:
    try:
        with path.open("rb") as file:
            data = file.read(OUTPUT_LIMIT + 1)
    except FileNotFoundError:
        return "", False
    return data[:OUTPUT_LIMIT].decode("utf-8", "replace"), len(data) > OUTPUT_LIMIT


def forget_files(folder: Path) -> None:
    """Inputs and outputs go when the result is safe; what was printed stays for `logs`."""
    if not folder.exists():
        return
    printed = [p for p in (folder / "result" / "stdout", folder / "result" / "stderr") if p.exists() and p.stat().st_size]
    if not printed:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in (*folder.iterdir(), *(folder / "result").iterdir()):
        if entry not in printed and entry != folder / "result":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)
