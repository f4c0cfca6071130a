"""What of an execution's folder stays, and for how long."""

import os
import socket
import time

import pytest

from bacalhau.compute.execution.ending import tell_outcome
from bacalhau.compute.execution.outputs import forget_files, read_exit_code, ready_result
from bacalhau.compute.execution.runner import Outcome
from bacalhau.lib.errors import TimedOut
from bacalhau.models.execution.execution import Execution


def test_what_was_printed_is_kept_from_the_end_on(tmp_path):
    """The age of the folder is that of its last change, and a job may have run for days."""
    folder = tmp_path / "e-1"
    (folder / "result").mkdir(parents=True)
    (folder / "result" / "stdout").write_bytes(b"printed")
    os.utime(folder, (0, 0))
    forget_files(folder)
    assert time.time() - folder.stat().st_mtime < 60
    assert [p.name for p in (folder / "result").iterdir()] == ["stdout"]


@pytest.mark.parametrize("error", [None, TimedOut("too long")])
def test_what_no_publisher_can_keep_is_left_out_and_told(tmp_path, monkeypatch, error):
    result = tmp_path / "result"
    (result / "outputs").mkdir(parents=True)
    (result / "outputs" / "kept").write_text("1")
    (result / "outputs" / "link").symlink_to("kept")
    os.mkfifo(result / "outputs" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(result / "outputs")
        listening.bind("sock")
    left_out = ready_result(tmp_path, 1000)
    assert left_out == ("outputs/pipe", "outputs/sock")
    assert sorted(os.listdir(result / "outputs")) == ["kept", "link"]
    events = tell_outcome(Execution(id="e-1"), Outcome(error=error, left_out=left_out)).events
    assert len(events) == 2 and "outputs/pipe" in events[1].message
    assert ready_result(tmp_path, 1000) == ()


@pytest.mark.parametrize(("text", "code"), [("", None), ("\0\0", None), ("0", 0), ("137", 137)])
def test_an_exit_code_that_was_lost_is_no_success(tmp_path, text, code):
    assert read_exit_code(tmp_path) is None
    (tmp_path / "exitCode").write_text(text)
    assert read_exit_code(tmp_path) == code
