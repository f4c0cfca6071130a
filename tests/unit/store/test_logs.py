"""Logs as files: whole when they are small, beginning and end when they are not, and sound after a crash at
any byte.
"""

import os
import random
import time

import pytest

from bacalhau.lib.errors import Unavailable
from bacalhau.ports.logs import STDERR, STDOUT, Append, Offsets, Piece, Quota
from bacalhau.store.logs import FileLogs
from bacalhau.store.segment import READ_LIMIT, frame, segment_path

EXECUTION = "e-1"
START = Offsets()


def put(logs, stream, offset, data, execution_id=EXECUTION):
    logs.append([Append(execution_id, Piece(stream, offset, data))])


def read_all(cursor):
    pieces = []
    while found := cursor.read():
        pieces += found
    return pieces


def read(logs, at=START):
    return read_all(logs.cursor(EXECUTION, at))


def text(pieces, stream):
    return b"".join(piece.data for piece in pieces if piece.stream == stream)


def test_both_streams_keep_their_order(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    assert logs.place(EXECUTION) is None and read(logs) == []
    put(logs, STDOUT, 0, b"one\n")
    put(logs, STDERR, 0, b"two\n")
    put(logs, STDOUT, 4, b"three\n")
    assert [p.data for p in read(logs)] == [b"one\n", b"two\n", b"three\n"]
    assert logs.place(EXECUTION) == (Offsets(10, 4), False)


def test_what_comes_again_is_not_doubled(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    for offset, data in ((0, b"abc"), (0, b"abc"), (1, b"bcde"), (0, b"a"), (5, b"f")):
        put(logs, STDOUT, offset, data)
    assert text(read(logs), STDOUT) == b"abcdef"


def test_a_reader_goes_on_where_it_stopped(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    put(logs, STDOUT, 0, b"0123456789")
    put(logs, STDERR, 0, b"abcdefghij")
    pieces = read(logs, Offsets(3, 8))
    assert (text(pieces, STDOUT), text(pieces, STDERR)) == (b"3456789", b"ij")
    cursor = logs.cursor(EXECUTION, Offsets(10, 10))
    assert cursor.read() == []
    put(logs, STDOUT, 10, b"more")
    assert cursor.read() == [Piece(STDOUT, 10, b"more")]


def test_a_reader_pauses_in_a_large_log(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    whole = random.Random(1).randbytes(3 * READ_LIMIT)
    for start in range(0, len(whole), 100_000):
        put(logs, STDOUT, start, whole[start : start + 100_000])
    cursor = logs.cursor(EXECUTION, Offsets())
    first = cursor.read()
    assert sum(len(p.data) for p in first) <= 2 * READ_LIMIT
    assert text(first + read_all(cursor), STDOUT) == whole


def test_a_finished_log_takes_no_more_and_says_so(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    put(logs, STDOUT, 0, b"all")
    logs.finish(EXECUTION)
    put(logs, STDOUT, 3, b" and more")
    for known in (logs, FileLogs(tmp_path, Quota())):
        assert known.place(EXECUTION) == (Offsets(3, 0), True)
        assert text(read(known), STDOUT) == b"all"


@pytest.mark.parametrize("cut", [1, 5, 14, 200])
def test_a_crash_in_the_middle_of_a_write_loses_only_that_write(cut, tmp_path):
    logs = FileLogs(tmp_path, Quota())
    put(logs, STDOUT, 0, b"kept\n")
    put(logs, STDERR, 0, b"x" * 300)
    (segment,) = (tmp_path / EXECUTION).glob("*.log")
    os.truncate(segment, segment.stat().st_size - cut)
    again = FileLogs(tmp_path, Quota())
    assert again.place(EXECUTION) == (Offsets(5, 0), False)
    put(again, STDERR, 0, b"x" * 300)
    assert (text(read(again), STDOUT), text(read(again), STDERR)) == (b"kept\n", b"x" * 300)


def test_beginning_and_end_stay_within_the_quota(tmp_path):
    quota = 1_000_000
    logs = FileLogs(tmp_path, Quota(quota))
    whole = random.Random(2).randbytes(5_000_000)
    for start in range(0, len(whole), 70_000):
        put(logs, STDOUT, start, whole[start : start + 70_000])
    put(logs, STDERR, 0, b"the end\n")
    for known in (logs, FileLogs(tmp_path, Quota(quota))):
        pieces = read(known)
        assert sum(f.stat().st_size for f in (tmp_path / EXECUTION).iterdir()) <= quota
        assert known.place(EXECUTION)[0] == Offsets(len(whole), 8)
        end = 0
        gaps = []
        for piece in (p for p in pieces if p.stream == STDOUT):
            if piece.offset > end:
                gaps.append((end, piece.offset))
            end = piece.end
            assert piece.data == whole[piece.offset : piece.end]
        ((first, last),) = gaps
        assert first >= quota * 0.4 and len(whole) - last >= quota * 0.35
        assert text(pieces, STDERR) == b"the end\n"
    put(logs, STDOUT, len(whole), b"!" * 100)
    assert read(logs)[-1].data == b"!" * 100


def test_the_sender_may_leave_out_the_middle(tmp_path):
    logs = FileLogs(tmp_path, Quota(1_000_000))
    put(logs, STDOUT, 0, b"begin")
    put(logs, STDOUT, 90_000_000, b"end")
    assert logs.place(EXECUTION)[0] == Offsets(90_000_003, 0)
    assert [(p.offset, p.data) for p in read(logs)] == [(0, b"begin"), (90_000_000, b""), (90_000_000, b"end")]


def test_a_reader_in_the_middle_that_goes_away_goes_on_behind_it(tmp_path):
    logs = FileLogs(tmp_path, Quota(300_000))
    put(logs, STDOUT, 0, b"a" * 170_000)
    cursor = logs.cursor(EXECUTION, Offsets(169_000, 0))
    read_all(cursor)
    for start in range(170_000, 2_000_000, 10_000):
        put(logs, STDOUT, start, b"b" * 10_000)
    pieces = read_all(cursor)
    assert pieces[0].offset > 170_000 and pieces[-1].end == 2_000_000
    assert sum(len(p.data) for p in pieces) < 300_000


def test_old_logs_and_too_many_go(tmp_path):
    logs = FileLogs(tmp_path, Quota(0, 2500, 3600))
    for number in range(5):
        put(logs, STDOUT, 0, b"x" * 1000, f"e-{number}")
        for path in (tmp_path / f"e-{number}").iterdir():
            os.utime(path, (10_000 + number, 10_000 + number))
    assert sorted(logs.sweep(10_005)) == ["e-0", "e-1", "e-2"]
    assert logs.place("e-0") is None and logs.place("e-4") is not None
    assert sorted(logs.sweep(20_000)) == ["e-3", "e-4"]
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_is_said(tmp_path):
    (tmp_path / EXECUTION).write_text("in the way")
    with pytest.raises(Unavailable, match="the log cannot be kept"):
        put(FileLogs(tmp_path, Quota()), STDOUT, 0, b"x")


def test_many_small_pieces_are_read_in_no_time(tmp_path):
    (tmp_path / EXECUTION).mkdir()
    frames = b"".join(frame(Piece(STDOUT, offset, b"0123456789")) for offset in range(0, 200_000, 10))
    segment_path(tmp_path / EXECUTION, START).write_bytes(frames)
    began = time.process_time()
    assert len(read(FileLogs(tmp_path, Quota()))) == 20_000
    assert time.process_time() - began < 1


def test_an_end_that_could_not_be_written_is_written_when_it_comes_again(tmp_path):
    logs = FileLogs(tmp_path, Quota())
    put(logs, STDOUT, 0, b"x")
    (tmp_path / EXECUTION).rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        logs.finish(EXECUTION)
    (tmp_path / EXECUTION).rmdir()
    (tmp_path / "away").rename(tmp_path / EXECUTION)
    assert logs.place(EXECUTION) == (Offsets(1, 0), False)
    logs.finish(EXECUTION)
    assert FileLogs(tmp_path, Quota()).place(EXECUTION) == (Offsets(1, 0), True)
