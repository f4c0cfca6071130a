"""A file that makes room for a new one: no line is lost while it may be kept, and none is torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.rotated import RotatedFile


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=40),
    st.integers(1, 100),
    st.integers(0, 3),
    st.lists(st.booleans()),
)
def test_the_newest_lines_are_there_in_order_and_no_file_is_too_large(tmp_path_factory, sizes, most, kept, closes):
    path = tmp_path_factory.mktemp("log") / "audit" / "a.jsonl"
    file = RotatedFile(path, most, kept)
    lines = [f"{number:03}{'x' * size}\n".encode() for number, size in enumerate(sizes)]
    for number, line in enumerate(lines):
        file.append(line)
        if number < len(closes) and closes[number]:
            file.close()
    file.close()
    files = sorted(path.parent.iterdir(), key=lambda f: -int(f.suffix[1:]) if f.suffix[1:].isdigit() else 0)
    assert len(files) <= kept + 1
    found = b"".join(f.read_bytes() for f in files).splitlines(keepends=True)
    assert found == lines[len(lines) - len(found) :] and found
    for f in files:
        held = f.read_bytes().splitlines(keepends=True)
        assert len(held) == 1 or sum(map(len, held)) <= most
        assert f.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_told_and_used_later(tmp_path):
    (tmp_path / "audit").write_text("a file in the way")
    file = RotatedFile(tmp_path / "audit" / "a.jsonl", 100, 1)
    with pytest.raises(OSError):
        file.append(b"lost\n")
    (tmp_path / "audit").unlink()
    file.append(b"kept\n")
    file.close()
    assert (tmp_path / "audit" / "a.jsonl").read_bytes() == b"kept\n"
