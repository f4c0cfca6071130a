import os
import socket

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, build, build_batches, content_size, leaf_cid, root_cid
from bacalhau.plugins.ipfs.unixfs.dagpb import SHARD, decode_node, decode_unixfs

D = bytes(i * 7 % 251 for i in range(1 << 20))
LEAF = 262_144
FILES = [
    (b"", V0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    (b"", V1, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (b"hello\n", V0, "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"),
    (b"hello world\n", V0, "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
    (b"hello world\n", V1, "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"),
    (b"hello world", V0, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
    (b"hello world", V1, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
    (D[:LEAF], V0, "QmSTEinx4Xk88Y17hPzGncGrKeERQNfgjU9RQm5S2x7xLk"),
    (D[:LEAF], V1, "bafkreic55qsu6nkihoak36r3i5uzzyyetgi46jany3f3e57ccvlkoyzdmi"),
    (D[: LEAF + 1], V0, "QmbpGbbQwpY1uBjycUZZJXy2mV3kKFbd5fFAzhhisZWPbe"),
    (D[: LEAF + 1], V1, "bafybeigi6b7obvqgkbrcienqnvinwyzqgjyf2q2hdkv5wr6rovjwr7jene"),
    (D * 50 + b"tail", V0, "QmfTYataECS4gxBChjSVcCmbAaNqDAeBAcgT2Fo4Dsm46y"),
    (D * 50 + b"tail", V1, "bafybeihsjh7nz4tkqawtfxzms6lxhqtzrprw5rzwdqspaxwezn4isisyvy"),
    ((D * 44)[: 174 * LEAF], V0, "QmY5mstFarCkJxSNMxEExjqtRhLdQVPMxYCp3NoVrZuapR"),
    ((D * 44)[: 174 * LEAF] + b"Z", V0, "QmStN85fqyZu1fx7MLRxcL9FgybrzLToy1WiAEGFuT8YKj"),
]


@pytest.mark.parametrize(("content", "profile", "cid"), FILES, ids=[f"{len(c)}-v{p.version}" for c, p, _ in FILES])
def test_files(tmp_path, content, profile, cid):
    (tmp_path / "f").write_bytes(content)
    assert str(root_cid(tmp_path / "f", profile)) == cid


def plant(folder, tree):
    for name, content in tree.items():
        path = folder / name
        if isinstance(content, dict):
            path.mkdir()
            plant(path, content)
        else:
            path.write_bytes(content)


TUTORIAL = {f"OR_ABI-L1b-RadC-M3C01_G16_s2000001120{i:04d}.nc": bytes([i]) * 1000 for i in range(20)}
TREES = {
    "empty-v0": ({}, V0, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
    "empty-v1": ({}, V1, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
    "tutorial": (
        {"stdout": b"", "stderr": b"", "exitCode": b"0", "outputs": TUTORIAL},
        V0,
        "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa",
    ),
    "exit 3": (
        {"stdout": b"out\n", "stderr": b"err\n", "exitCode": b"3", "outputs": {}},
        V0,
        "QmRg1xCUY3Pi8obpRkHpdATiR29Cse4LdSKsVjv3UF3x1C",
    ),
    "one file": (
        {"stdout": b"out\n", "stderr": b"err\n", "exitCode": b"0", "outputs": {"h.txt": b"hello\n"}},
        V0,
        "QmZCx4RPfXAoxYjE2LBYmtuQRAFLZhEQY2YW7CxybYoWhn",
    ),
    "no output": (
        {"stdout": b"hello world\n", "stderr": b"", "exitCode": b"0", "outputs": {}},
        V0,
        "QmW7TdjNEMzqmWxm5WPK1p6QCkeChxMLpvhLxyUW2wpjCf",
    ),
}
NESTED = {
    "stdout": b"hello world\n",
    "stderr": b"",
    "exitCode": b"0",
    "outputs": {"a.bin": D[:300_000], "sub": {"x": b"1"}},
}
TREES["nested-v0"] = (NESTED, V0, "QmenNXfga3abqKBVXffCRUuk2inCJwaeDiVmFLyTQf5cPx")
TREES["nested-v1"] = (NESTED, V1, "bafybeictiyvgioigjfboqqmtxipp7o7i6qfqthpukdt46ltmzfsnshffte")


@pytest.mark.parametrize("tree", TREES)
def test_trees(tmp_path, tree):
    content, profile, cid = TREES[tree]
    plant(tmp_path, content)
    assert str(root_cid(tmp_path, profile)) == cid


def test_a_small_profile_makes_every_depth(tmp_path):
    """Levels of 2 links: 1 to 20 leaves go through each way a level can end; all leaves lie at one depth."""
    profile = V0._replace(chunk=1, width=2)
    for count in range(1, 21):
        (tmp_path / "f").write_bytes(bytes(range(count)))
        blocks = {cid: decode_node(block) for cid, block in build(tmp_path / "f", profile)}
        level = [list(blocks)[-1]]
        content = b""
        while level:
            below = [link.cid for cid in level for link in blocks[cid].links]
            assert not below or all(blocks[cid].links for cid in level)
            assert len(blocks[level[0]].links) <= 2
            content = content or (b"".join(decode_unixfs(blocks[cid].data).data for cid in level) if not below else b"")
            level = below
        assert content == bytes(range(count))


def test_the_border_of_sharding(tmp_path):
    """Each entry takes 34 bytes of CID and its name."""
    for name in "abc":
        (tmp_path / (name * 10)).touch()
    whole = [block for _, block in build(tmp_path, V0._replace(shard_above=3 * 44))][-1]
    sharded = [block for _, block in build(tmp_path, V0._replace(shard_above=3 * 44 - 1))][-1]
    assert decode_unixfs(decode_node(whole).data).kind != SHARD
    assert decode_unixfs(decode_node(sharded).data).kind == SHARD


def test_hidden_files_symlinks_and_names_that_are_not_utf8(tmp_path):
    (tmp_path / ".hidden").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    with open(os.path.join(os.fsencode(tmp_path), b"\xff"), "w"):
        pass
    root = decode_node([block for _, block in build(tmp_path)][-1])
    assert [link.name for link in root.links] == [b".hidden", b"link", b"\xff"]


def test_tsize_counts_everything_below(tmp_path):
    plant(tmp_path, {"a": {"b": b"1" * LEAF * 2}, "c": b""})
    blocks = dict(build(tmp_path))
    root = decode_node(list(blocks.values())[-1])
    twice = len(next(block for block in blocks.values() if len(block) > LEAF))
    assert (
        sum(link.tsize for link in root.links) + len(list(blocks.values())[-1])
        == sum(map(len, blocks.values())) + twice
    )


def test_what_cannot_be_stored(tmp_path):
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open(tmp_path, os.O_RDONLY)
        try:
            s.bind(f"/proc/self/fd/{here}/sock")
        finally:
            os.close(here)
        for scan in (root_cid, content_size):
            with pytest.raises(BadRequest, match="sock' is a socket"):
                scan(tmp_path)


@pytest.mark.parametrize("profile", [V0, V1])
def test_a_leaf_alone(tmp_path, profile):
    (tmp_path / "f").write_bytes(b"x")
    cid = root_cid(tmp_path / "f", profile)
    assert leaf_cid(b"x", cid) == cid


async def test_batches_end_with_the_root(tmp_path):
    plant(tmp_path, {"big": D * 9, "small": b"1"})
    batches = [batch async for batch in build_batches(tmp_path)]
    assert len(batches) > 2
    assert batches[-1][-1][0] == root_cid(tmp_path)
    assert max(sum(len(block) for _, block in batch) for batch in batches) < 5 << 20
