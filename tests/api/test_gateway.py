"""The IPFS gateway over a real block store: what a browser, curl and a verifying client get."""

import io
import tarfile

from bacalhau.plugins.ipfs.unixfs.build import V0, build_batches
from bacalhau.plugins.ipfs.unixfs.car import read_car
from tests.api.room import open_room

BIG = bytes(range(256)) * 2400  # three leaves, the first two alike


async def publish(room, folder) -> str:
    (folder / "outputs" / "sub dir").mkdir(parents=True)
    (folder / "stdout").write_bytes(b"hello\n")
    (folder / "outputs" / "big.bin").write_bytes(BIG)
    (folder / "outputs" / "page.html").write_bytes(b"<script>1</script>")
    (folder / "outputs" / "sub dir" / "a.txt").write_bytes(b"a")
    async for batch in build_batches(folder, V0):
        await room.orch.content.put({str(cid): block for cid, block in batch})
        root = str(batch[-1][0])
    return root


async def blocks_of(data: bytes) -> list[str]:
    async def chunks():
        yield data

    return [str(block.cid) async for block in read_car(chunks())]


async def test_files_and_folders(tmp_path):
    async with open_room(tmp_path) as room:
        root = await publish(room, tmp_path / "tree")
        answer = await room.http.get(f"/ipfs/{root}/stdout")
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"hello\n", "6")
        assert answer.headers["x-ipfs-path"] == f"/ipfs/{root}/stdout"
        assert "immutable" in answer.headers["cache-control"]
        again = await room.http.get(f"/ipfs/{root}/stdout", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await room.http.get(f"/ipfs/{root}/outputs/big.bin")).content == BIG
        assert (await room.http.get(f"/ipfs/{root}/outputs/sub%20dir/a.txt")).text == "a"
        page = await room.http.get(f"/ipfs/{root}/outputs/page.html")
        assert (
            page.headers["content-type"].startswith("text/html")
            and page.headers["content-security-policy"] == "sandbox"
        )

        listed = (await room.http.get(f"/ipfs/{root}/outputs/")).json()
        assert [e["Name"] for e in listed["Entries"]] == ["big.bin", "page.html", "sub dir"]
        shown = (await room.http.get(f"/ipfs/{root}/outputs", headers={"Accept": "text/html"})).text
        assert f'href="/ipfs/{root}/outputs/sub%20dir"' in shown


async def test_ranges(tmp_path):
    async with open_room(tmp_path) as room:
        path = f"/ipfs/{await publish(room, tmp_path / 'tree')}/outputs/big.bin"
        size = len(BIG)
        for text, begin, end in [
            ("0-0", 0, 1),
            ("300000-", 300_000, size),
            ("-5", size - 5, size),
            (f"10-{size * 2}", 10, size),
            ("262140-262150", 262_140, 262_151),
        ]:
            answer = await room.http.get(path, headers={"Range": f"bytes={text}"})
            assert (answer.status_code, answer.content) == (206, BIG[begin:end]), text
            assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        beyond = await room.http.get(path, headers={"Range": f"bytes={size}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        for text in ("bytes=5-1", "bytes=0-1,4-5", "lines=1-2", "bytes=-"):
            whole = await room.http.get(path, headers={"Range": text})
            assert (whole.status_code, len(whole.content)) == (200, size)


async def test_a_head_request_tells_the_size_without_the_bytes(tmp_path):
    async with open_room(tmp_path) as room:
        root = await publish(room, tmp_path / "tree")
        answer = await room.http.head(f"/ipfs/{root}/outputs/big.bin")
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(BIG)), b"")
        assert (await room.http.head(f"/ipfs/{root}?format=car")).status_code == 200


async def test_cars(tmp_path):
    async with open_room(tmp_path) as room:
        root = await publish(room, tmp_path / "tree")
        answer = await room.http.get(f"/ipfs/{root}?format=car")
        everything = await blocks_of(answer.content)
        assert everything[0] == root and len(set(everything)) == len(everything) == 9
        assert answer.headers["content-type"] == "application/vnd.ipld.car; version=1"
        asked = await room.http.get(f"/ipfs/{root}", headers={"Accept": "application/vnd.ipld.car;version=1"})
        assert asked.content == answer.content and asked.headers["etag"] == answer.headers["etag"]
        only = await room.http.get(f"/ipfs/{root}?format=car&dag-scope=block")
        assert await blocks_of(only.content) == [root]

        path = await room.http.get(f"/ipfs/{root}/outputs/big.bin?format=car&dag-scope=entity&entity-bytes=600000:*")
        assert (await blocks_of(path.content))[0] == root
        assert len(await blocks_of(path.content)) == 4, "two folders, the file's root and its last leaf"


async def test_raw_blocks_and_tars(tmp_path):
    async with open_room(tmp_path) as room:
        root = await publish(room, tmp_path / "tree")
        raw = await room.http.get(f"/ipfs/{root}?format=raw")
        assert raw.content == await room.orch.content.get(root)
        assert raw.headers["content-type"] == "application/vnd.ipld.raw"
        tar = await room.http.get(f"/ipfs/{root}", headers={"Accept": "application/x-tar"})
        with tarfile.open(fileobj=io.BytesIO(tar.content)) as archive:
            assert archive.extractfile(f"{root}/outputs/big.bin").read() == BIG


async def test_what_is_not_there_or_makes_no_sense(tmp_path):
    async with open_room(tmp_path) as room:
        root = await publish(room, tmp_path / "tree")
        strange = "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"
        for path, status in [
            (f"/ipfs/{strange}", 404),
            (f"/ipfs/{strange}?format=car", 404),
            (f"/ipfs/{root}/outputs/nope", 404),
            ("/ipfs/nonsense", 400),
            (f"/ipfs/{root}?format=zip", 400),
            (f"/ipfs/{root}?format=car&dag-scope=some", 400),
            (f"/ipfs/{root}?format=car&entity-bytes=x", 400),
            ("/ipfs", 404),
        ]:
            answer = await room.http.get(path)
            assert (answer.status_code, answer.json()["Status"]) == (status, status), path
