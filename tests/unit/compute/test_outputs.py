"""What of an execution's folder stays, and for how long."""

import os
import time

from bacalhau.compute.execution.outputs import forget_files


def test_what_was_printed_is_kept_from_the_end_on(tmp_path):
    """The age of the folder is that of its last change, and a job may have run for days."""
    folder = tmp_path / "e-1"
    (folder / "result").mkdir(parents=True)
    (folder / "result" / "stdout").write_bytes(b"printed")
    os.utime(folder, (0, 0))
    forget_files(folder)
    assert time.time() - folder.stat().st_mtime < 60
    assert [p.name for p in (folder / "result").iterdir()] == ["stdout"]
