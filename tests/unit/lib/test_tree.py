"""Results nested as deep as the file system allows are packed, hashed, merged and unpacked; deeper ones are refused."""

import errno
import os
from pathlib import Path

import pytest

from bacalhau.border.archive import pack, tree_size, unpack
from bacalhau.client.merge import apply_merge, files_in, plan_merge
from bacalhau.lib.tree import remove_tree, walk
from bacalhau.plugins.ipfs.unixfs.build import content_size, root_cid

DEPTH = 1500


def nest(folder: Path, depth: int) -> None:
    """Folders within folders, the last one with a file; deeper than any path can say."""
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inner)
    os.write(file, b"deep")
    os.close(file)
    os.close(inner)


def test_every_entry_comes_in_order_and_links_are_not_followed(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b-file").write_text("x")
    (tmp_path / "a").symlink_to("b")
    assert [name for name, _ in walk(tmp_path)] == ["a", "b", "b/c", "b-file"]


def test_deep_results_are_handled_whole(tmp_path):
    made, merged, unpacked = tmp_path / "made", tmp_path / "m", tmp_path / "u"
    for folder in (made, merged, unpacked):
        folder.mkdir()
    nest(made, DEPTH)
    cid = root_cid(made)
    assert (len(list(walk(made))), content_size(made)) == (DEPTH + 1, 4)
    assert tree_size(made) > 1024 * DEPTH
    (tmp_path / "a.tar.gz").write_bytes(b"".join(pack(made)))
    assert unpack(tmp_path / "a.tar.gz", unpacked) == []
    assert root_cid(unpacked) == cid
    apply_merge(plan_merge([unpacked], merged))
    assert root_cid(merged) == cid
    assert list(files_in(unpacked)) == []
    for folder in (made, merged, unpacked):
        remove_tree(folder)
    assert not made.exists()


def test_what_no_path_can_name_is_refused_in_clear_words(tmp_path):
    nest(tmp_path, 2500)
    for handle in (content_size, tree_size):
        with pytest.raises(OSError, match="nested too deep here: a path may have at most 4095 bytes: 'd/d") as caught:
            handle(tmp_path)
        assert (caught.value.errno, len(str(caught.value.filename)) < 100) == (errno.ENAMETOOLONG, True)
    remove_tree(tmp_path)
