import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import (
    FILE,
    Link,
    decode_node,
    decode_unixfs,
    encode_directory,
    encode_file,
    encode_node,
)
from bacalhau.plugins.ipfs.unixfs.read import view

CIDS = st.builds(
    lambda data, form: cid_of(data, *form), st.binary(max_size=4), st.sampled_from([(DAG_PB, 0), (DAG_PB, 1), (RAW, 1)])
)
LINKS = st.lists(st.builds(Link, CIDS, st.binary(max_size=20), st.integers(0, 2**60)), max_size=5)


@given(LINKS, st.binary(min_size=1))
def test_node_roundtrip(links, data):
    node = decode_node(encode_node(links, data))
    assert (list(node.links), node.data) == (links, data)


@given(st.binary(), st.lists(st.integers(0, 2**60), max_size=5))
def test_file_roundtrip(data, sizes):
    seen = decode_unixfs(encode_file(data, len(data) + sum(sizes), tuple(sizes)))
    assert (seen.kind, seen.data, seen.filesize, list(seen.blocksizes)) == (FILE, data, len(data) + sum(sizes), sizes)


@given(st.binary(max_size=300))
def test_noise_never_escapes_as_another_error(noise):
    for version in (0, 1):
        try:
            view(cid_of(noise, DAG_PB, version), noise)
        except StorageFailure as e:
            assert "cannot be read" in e.message


def test_what_other_writers_write():
    packed = b"\x08\x02\x18\x05\x22\x02\x02\x03"
    assert decode_unixfs(packed).blocksizes == (2, 3)
    with_mode_and_times = (
        encode_directory() + b"\x38\xed\x03" + b"\x42\x02\x08\x01" + b"\x4d\0\0\0\0" + b"\x49\0\0\0\0\0\0\0\0"
    )
    assert decode_unixfs(with_mode_and_times).kind == 1


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (b"\x0a\x05\x08", "cut short"),
        (b"\x0a\x02\x08\x03", "metadata"),
        (b"\x0a\x02\x08\x09", "not a UnixFS"),
        (b"\x0b", "wire type 3"),
        (b"\x12\x02\x12\x00", "no CID"),
        (encode_node([], b"\x08\x02\x20\x05"), "do not match"),
        (encode_node([], b"\x08\x05\x30\x10"), "width 16"),
    ],
)
def test_malformed_blocks(block, says):
    with pytest.raises(StorageFailure, match=says):
        view(cid_of(block, DAG_PB, 0), block)


def test_a_foreign_codec():
    with pytest.raises(StorageFailure, match="codec 0x71"):
        view(cid_of(b"", 0x71, 1), b"")
