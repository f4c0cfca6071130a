import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.ipfs.unixfs.cid import (
    DAG_PB,
    RAW,
    Cid,
    cid_of,
    from_base58,
    parse_cid,
    parse_path,
    read_cid,
    read_varint,
    to_base58,
    varint,
)
from bacalhau.plugins.ipfs.unixfs.murmur import murmur3_x64_64

V0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"


@given(st.binary(max_size=64))
def test_base58_roundtrip(data):
    assert from_base58(to_base58(data)) == data


@given(st.integers(0, 2**63))
def test_varint_roundtrip(value):
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


@given(st.binary(max_size=64), st.sampled_from([(0, DAG_PB), (1, DAG_PB), (1, RAW), (1, 0x71)]))
def test_a_cid_survives_text_and_bytes(block, form):
    cid = cid_of(block, form[1], form[0])
    assert parse_cid(str(cid)) == cid
    assert read_cid(b"xx" + cid.raw + b"yy", 2) == (cid, 2 + len(cid.raw))
    assert cid.matches(block)
    assert not cid.matches(block + b"!")


@pytest.mark.parametrize(
    "spell",
    [
        lambda raw: "z" + to_base58(raw),
        lambda raw: "f" + raw.hex(),
        lambda raw: "b" + base64.b32encode(raw).decode().lower().rstrip("="),
    ],
)
def test_multibases(spell):
    cid = cid_of(b"x", RAW, 1)
    assert parse_cid(spell(cid.raw)) == cid


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("Qm", "characters"),
        (V0[:-1], "has 45 characters"),
        (V0[:-1] + "0", "'0' is not a base58 character"),
        ("k51qzi5uqu5d", "begins with 'k'"),
        ("bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf35", "some are missing"),
        ("bAFY", "lower case"),
        ("baf1", "base32"),
        ("Q" * 300, "300 characters"),
        ("z" + V0, "multibase"),
        ("f01551e20" + "00" * 32, "hash function 0x1e is not supported"),
        ("f0155121f" + "00" * 31, "31 bytes"),
        ("f02551220" + "00" * 32, "version 2"),
        ("f01551220" + "00" * 33, "follows"),
        ("f", "cut short"),
        ("f0", "f0"),
    ],
)
def test_a_bad_cid_says_what_is_wrong(text, says):
    with pytest.raises(BadRequest, match=says):
        parse_cid(text)


@pytest.mark.parametrize("text", [f"{V0}/a/b c", f"ipfs://{V0}/a/b c/", f"/ipfs/{V0}//a/b c", f" {V0}/a/b c "])
def test_paths(text):
    cid, path = parse_path(text)
    assert (str(cid), path) == (V0, "a/b c")


def test_both_spellings_of_a_node_have_one_key():
    cid = parse_cid(V0)
    assert Cid(1, DAG_PB, cid.multihash).key == cid.key == V0
    assert cid_of(b"", RAW, 1).key.startswith("bafkrei")


def test_inline_content():
    cid = Cid(1, RAW, b"\0\x05hello")
    assert (cid.inline, cid.matches(b"hello"), parse_cid(V0).inline) == (b"hello", True, None)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        (b"", "0000000000000000"),
        (b"hello", "cbd8a7b341bd9b02"),
        (b"hello, world", "342fac623a5ebc8e"),
        (b"The quick brown fox jumps over the lazy dog.", "cd99481f9ee902c9"),
    ],
)
def test_murmur3(name, digest):
    assert murmur3_x64_64(name).hex() == digest
