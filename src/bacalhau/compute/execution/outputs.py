"""The result tree of an execution: stdout, stderr, exitCode and one directory per result path."""

import os
import stat
from pathlib import Path

from bacalhau.compute.execution.mounts import FOLDER_MODE
from bacalhau.lib.errors import PublisherFailure
from bacalhau.lib.tree import remove_tree, walk
from bacalhau.lib.units import show_bytes
from bacalhau.models.execution.execution import OUTPUT_LIMIT, RunCommandResult
from bacalhau.models.job.job import Task
from bacalhau.ports.engine import Mount

EXIT_CODE = "exitCode"


def make_result_tree(task: Task, result: Path) -> tuple[Mount, ...]:
    """Create the tree where something will be kept in it; the output directories are writable for any user of the
    image.
    """
    if task.input_sources or task.result_paths or (task.publisher and task.publisher.type):
        os.makedirs(result, exist_ok=True)
    mounts = []
    for output in task.result_paths or ():
        folder = result / output.name
        folder.mkdir(exist_ok=True)
        folder.chmod(FOLDER_MODE)
        mounts.append(Mount(folder, output.path, False, own=True))
    return tuple(mounts)


def write_exit_code(result: Path, code: int) -> None:
    """Whole or not at all. A task that left no tree has nothing to lose by running again."""
    if not os.path.exists(result):
        return
    part = result / f".{EXIT_CODE}.part"
    part.write_text(str(code))
    os.replace(part, result / EXIT_CODE)


def read_exit_code(result: Path) -> int | None:
    """Read the exit code of a task; None while it has not ended, or where a loss of power took what was written: the
    engine then tells it again, or runs the task again.
    """
    try:
        return int((result / EXIT_CODE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _check_size(folder: Path, disk: int) -> None:
    """Count the files of an execution. Raises PublisherFailure when they are more than its `disk`, in bytes."""
    sizes = {"result": 0, "inputs": 0}
    for part in sizes:
        if (folder / part).exists():
            sizes[part] = sum(status.st_size for _, status in walk(folder / part) if stat.S_ISREG(status.st_mode))
    if sum(sizes.values()) > disk:
        beside = f" beside {show_bytes(sizes['inputs'])} of inputs" if sizes["inputs"] else ""
        raise PublisherFailure(
            f"the result has {show_bytes(sizes['result'])}{beside}, more than the task's disk of {show_bytes(disk)}",
            hint="ask for more disk (Resources.Disk), or write less to the result paths",
        )


def ready_result(folder: Path, disk: int) -> tuple[str, ...]:
    """Make the result of an execution fit for any publisher: it keeps within the task's `disk`, in bytes, and sockets,
    pipes and devices are removed. Returns their names.

    Raises PublisherFailure where it is larger, or cannot be read.
    """
    result = folder / "result"
    kept = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISLNK)
    try:
        _check_size(folder, disk)
        names = [name for name, status in walk(result) if not any(is_kind(status.st_mode) for is_kind in kept)]
        for name in names:
            (result / name).unlink(missing_ok=True)
    except OSError as e:
        raise PublisherFailure(f"cannot read the result {e.filename or result}: {e.strerror or e}") from e
    return tuple(names)


def read_output(result: Path, code: int, error: str = "") -> RunCommandResult:
    """The first OUTPUT_LIMIT bytes of each stream, for the record."""
    if not os.path.exists(result):
        return RunCommandResult(exit_code=code, error_msg=error)
    stdout, out_cut = _head(result / "stdout")
    stderr, err_cut = _head(result / "stderr")
    return RunCommandResult(
        stdout=stdout,
        stdout_truncated=out_cut,
        stderr=stderr,
        stderr_truncated=err_cut,
        exit_code=code,
        error_msg=error,
    )


def _head(path: Path) -> tuple[str, bool]:
    try:
        with path.open("rb") as file:
            data = file.read(OUTPUT_LIMIT + 1)
    except FileNotFoundError:
        return "", False
    return data[:OUTPUT_LIMIT].decode("utf-8", "replace"), len(data) > OUTPUT_LIMIT


def forget_files(folder: Path) -> None:
    """Inputs and outputs go when the result is safe; what was printed stays for `logs`. Silent when there
    is nothing.
    """
    if not os.path.exists(folder):
        return
    result = folder / "result"
    printed = {path for path in (result / "stdout", result / "stderr") if path.exists() and path.stat().st_size}
    if not printed:
        remove_tree(folder)
        return
    for entry in (*folder.iterdir(), *result.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            if entry != result:
                remove_tree(entry)
        elif entry not in printed:
            entry.unlink(missing_ok=True)
    os.utime(folder)  # from now on it is kept as long as every other
