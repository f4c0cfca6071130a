"""The bounded files of what a task prints, against a model that keeps everything."""

import os
import re
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bacalhau.border.printed import Printed, missing_text, read_stretch

LIMIT = 64
HALF = LIMIT // 2
GAP = re.compile(re.escape(missing_text(0)).replace("0", r"(\d+)").encode())


def read_all(path, step):
    """Return (offset, data) pieces from the beginning to the end."""
    pieces, at = [], 0
    while (found := read_stretch(path, LIMIT, at, step)).data:
        assert found.offset >= at
        pieces.append((found.offset, found.data))
        at = found.offset + len(found.data)
    return pieces, found.end


class Printing(RuleBasedStateMachine):
    """A task prints, its node restarts and crashes; the engine's log repeats everything from the beginning."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "result" / "stdout"
        self.all = b""
        self.file = Printed(self.path, LIMIT)
        self.seen = 0

    def teardown(self):
        if self.file:
            self.file.close()
        self.folder.cleanup()

    @precondition(lambda self: self.file)
    @rule(data=st.binary(min_size=1, max_size=3 * LIMIT))
    def write(self, data):
        self.all += data
        self.file.write(data)

    @precondition(lambda self: self.file)
    @rule()
    def close(self):
        self.file.close()
        self.file = None

    @precondition(lambda self: self.file)
    @rule()
    def crash(self):
        for descriptor in (self.file._file, self.file._ring):
            if descriptor >= 0:
                os.close(descriptor)
        self.file = None

    @precondition(lambda self: not self.file)
    @rule(more=st.binary(max_size=LIMIT), cut=st.integers(1, 40))
    def resume(self, more, cut):
        self.file = Printed(self.path, LIMIT, resumes=True)
        self.again(more, cut)

    @precondition(lambda self: self.file)
    @rule(more=st.binary(max_size=LIMIT), cut=st.integers(1, 40))
    def again(self, more, cut):
        self.all += more
        self.file.rewind()
        for start in range(0, len(self.all), cut):
            self.file.write(self.all[start : start + cut])

    @precondition(lambda self: self.file)
    @rule(size=st.integers(0, 3 * LIMIT))
    def break_off(self, size):
        self.file.rewind()
        self.file.write(self.all[:size])
        self.file.rewind()
        self.file.write(self.all)

    @rule(step=st.integers(1, 2 * LIMIT))
    def follow(self, step):
        found = read_stretch(self.path, LIMIT, self.seen, step)
        assert found.data == self.all[found.offset : found.offset + len(found.data)]
        self.seen = max(self.seen, found.offset + len(found.data))

    @invariant()
    def beginning_and_end_are_there(self):
        for step in (7, LIMIT, -1):
            pieces, end = read_all(self.path, step)
            assert end == len(self.all)
            assert all(self.all[at : at + len(data)] == data for at, data in pieces)
            kept = {place for at, data in pieces for place in range(at, at + len(data))}
            assert kept >= set(range(min(HALF, end))) | set(range(max(0, end - HALF), end))

    @invariant()
    def the_disk_has_a_bound(self):
        assert sum(f.stat().st_size for f in self.path.parent.iterdir()) <= 2 * LIMIT + len(missing_text(10**9))

    @precondition(lambda self: not self.file and len(os.listdir(self.path.parent)) == 1)
    @invariant()
    def a_closed_file_tells_everything(self):
        text = self.path.read_bytes()
        if len(self.all) <= LIMIT:
            assert text == self.all
        else:
            missing = missing_text(len(self.all) - LIMIT).encode()
            assert text == self.all[:HALF] + missing + self.all[-HALF:]


TestPrinting = Printing.TestCase


@given(st.binary(min_size=20, max_size=200), st.integers(1, 50))
def test_a_log_that_lost_its_beginning_is_told_and_goes_on(known, cut):
    """An engine that keeps only the end: whatever it is, the last bytes of the output are the last of the log."""
    log = bytes(byte ^ 1 for byte in known) + b"the rest"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdout"
        first = Printed(path, 10_000)
        first.write(known)
        first.close()
        file = Printed(path, 10_000, resumes=True)
        for _ in range(2):
            file.rewind()
            for start in range(0, len(log), cut):
                file.write(log[start : start + cut])
        file.close()
        text = path.read_bytes()
    assert text.startswith(known + b"\n[output may be missing or repeated here") and text.endswith(b"]\n" + log)


@given(st.integers(0, 40_000), st.integers(1, 5_000), st.integers(0, 9_000))
def test_a_log_that_lost_its_beginning_is_joined_where_it_overlaps(lost, cut, known):
    text = "".join(f"{number}\n" for number in range(10_000)).encode()
    limit = 40_000
    known += max(lost, limit // 2) + 4096
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdout"
        file = Printed(path, limit)
        file.write(text[:known])
        for _ in range(2):
            file.rewind()
            for start in range(lost, len(text), cut):
                file.write(text[start : start + cut])
        file.close()
        missing = missing_text(len(text) - limit).encode()
        assert path.read_bytes() == text[: limit // 2] + missing + text[-(limit // 2) :]
