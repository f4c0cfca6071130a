"""S3 as an input, on SeaweedFS and Ceph: which objects, which paths, pinned, verified, and what is said when it cannot
be.
"""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import Step, ignore
from bacalhau.ports.storage import Partition
from tests.support.s3 import PUBLIC_BUCKET, S3, TUTORIAL_PREFIX

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture(params=["seaweedfs", "ceph"])
def s3(request) -> S3:
    """The two servers that people run, in turn."""
    found: S3 = request.getfixturevalue(request.param)
    return found


def spec(s3: S3, bucket: str, key: str, **params: object) -> SpecConfig:
    return SpecConfig(
        type="s3", params={"Bucket": bucket, "Key": key, "Endpoint": s3.url, "Region": "us-east-1", **params}
    )


async def stage(source: S3Source, wanted: SpecConfig, into: Path) -> dict[str, bytes]:
    volume = await source.fetch(await source.resolve(wanted), into, ignore)
    assert volume.read_only
    return read_tree(volume.path)


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        str(Path(root, name).relative_to(folder)): Path(root, name).read_bytes()
        for root, _, names in os.walk(folder)
        for name in names
    }


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


async def test_the_tutorials_input_without_credentials(s3, source, tmp_path, no_credentials):
    got = await stage(source, spec(s3, PUBLIC_BUCKET, TUTORIAL_PREFIX + "M3C01*"), tmp_path)
    assert got == {f"OR_ABI-L1b-RadC-M3C01_G16_s2000001120{i:04d}.nc": bytes([i]) * 1000 for i in range(20)}


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        ("a/b/001.txt", {"001.txt"}),
        ("a/b/", {"001.txt", "002.txt", "x/y.txt"}),
        ("a/b/*", {"001.txt", "002.txt", "x/y.txt"}),
        ("a/b/00*", {"001.txt", "002.txt"}),
        ("a/se*", {"set1/001.txt"}),
        (" a/se* ", {"set1/001.txt"}),
        ("", {"a/b/001.txt", "a/b/002.txt", "a/b/x/y.txt", "a/set1/001.txt", "top"}),
        ("*", {"a/b/001.txt", "a/b/002.txt", "a/b/x/y.txt", "a/set1/001.txt", "top"}),
    ],
)
async def test_paths_under_the_mount(s3, bucket, source, tmp_path, key, paths):
    s3.fill(
        bucket, {name: name.encode() for name in ("a/b/001.txt", "a/b/002.txt", "a/b/x/y.txt", "a/set1/001.txt", "top")}
    )
    s3.fill(bucket, {"a/b/empty/": b""})
    assert set(await stage(source, spec(s3, bucket, key), tmp_path)) == paths


async def test_unusual_keys_keep_their_names(s3, bucket, source, tmp_path):
    keys = ["sp ace", "pl+us", "per%cent", "eq=ual", "co:lon", "ünï/ç", "q?uestion#hash", "am&p<x>", "til~de'(x)*!"]
    s3.fill(bucket, {key: key.encode() for key in keys})
    assert await stage(source, spec(s3, bucket, ""), tmp_path) == {key: key.encode() for key in keys}
    for key in keys[:-1]:
        entry = (await source.resolve(spec(s3, bucket, key))).entries[0]
        assert entry.key == key


async def test_filter_speaks_of_the_key_after_the_prefix(s3, bucket, source, tmp_path):
    s3.fill(bucket, {f"data/{i}.{ext}": b"x" for i in range(3) for ext in ("csv", "txt")})
    assert set(await stage(source, spec(s3, bucket, "data/*", Filter=r"^[12]\.csv$"), tmp_path)) == {"1.csv", "2.csv"}


async def test_more_objects_than_a_page_are_reported_to_the_last(s3, bucket, source, tmp_path, monkeypatch):
    s3.fill(bucket, {f"p/{i:04d}": str(i).encode() for i in range(1003)})
    manifest = await source.resolve(spec(s3, bucket, "p/"))
    assert len(manifest.entries) == 1003
    steps: list[Step] = []
    await source.fetch(manifest, tmp_path, steps.append)
    assert steps[-1] == Step("staging", 1003, 1003, manifest.size, manifest.size)
    assert (tmp_path / "1002").read_bytes() == b"1002"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".part")]


async def test_large_objects_come_in_ranges_and_are_verified(s3, bucket, source, tmp_path):
    body = os.urandom(1 << 20) * 70
    s3.fill(bucket, {"large": body, "medium": body[: 5 << 20], "none": b""})
    assert await stage(source, spec(s3, bucket, "large", ChecksumSHA256=digest(body)), tmp_path) == {"large": body}
    assert await stage(source, spec(s3, bucket, ""), tmp_path / "all") == {
        "large": body,
        "medium": body[: 5 << 20],
        "none": b"",
    }


async def test_checksums_of_a_single_object(s3, bucket, source, tmp_path):
    s3.fill(bucket, {"k": b"hello"})
    hexadecimal = hashlib.sha256(b"hello").hexdigest()
    for number, good in enumerate((digest(b"hello"), hexadecimal, "0x" + hexadecimal)):
        assert await stage(source, spec(s3, bucket, "k", ChecksumSHA256=good), tmp_path / str(number)) == {
            "k": b"hello"
        }
    with pytest.raises(StorageFailure, match=f"checksum mismatch for s3://{bucket}/k, expected .*, got"):
        await stage(source, spec(s3, bucket, "k", ChecksumSHA256=digest(b"other")), tmp_path / "bad")
    assert read_tree(tmp_path / "bad") == {}


async def test_an_older_version_can_be_asked_for(s3, bucket, source, tmp_path):
    s3.boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.boto.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    s3.fill(bucket, {"k": b"newer"})
    assert await stage(source, spec(s3, bucket, "k", VersionID=old), tmp_path) == {"k": b"old"}
    assert (await source.resolve(spec(s3, bucket, "k"))).entries[0].size == 5


async def test_an_object_that_changed_after_listing_is_noticed(s3, bucket, source, tmp_path):
    s3.fill(bucket, {"d/k": b"before"})
    manifest = await source.resolve(spec(s3, bucket, "d/"))
    s3.fill(bucket, {"d/k": b"after!"})
    listed, found = manifest.entries[0].etag, s3.boto.head_object(Bucket=bucket, Key="d/k")["ETag"]
    said = f"object d/k in bucket {bucket} changed after it was listed: {listed} was listed, {found} is there"
    with pytest.raises(StorageFailure, match=said) as raised:
        await source.fetch(manifest, tmp_path, ignore)
    assert not raised.value.retryable
    s3.boto.delete_object(Bucket=bucket, Key="d/k")
    with pytest.raises(StorageFailure, match=f"object d/k in bucket {bucket} is gone: {listed} was listed"):
        await source.fetch(manifest, tmp_path, ignore)


async def list_all(source, wanted):
    """Every page; and how many there were."""
    found, places, pages = [], [""], 0
    while places:
        page = await source.list_page(wanted, places.pop())
        found += page.entries
        places += page.following
        pages += 1
    return found, pages


@pytest.fixture(scope="module")
def paged_buckets():
    """The bucket of each server that was filled already."""
    return {}


@pytest.fixture
def paged_bucket(s3, paged_buckets):
    """A bucket that is more than a page."""
    if s3.url not in paged_buckets:
        bucket = paged_buckets[s3.url] = s3.new_bucket()
        s3.fill(bucket, {f"a/{n % 7}/{n:04d}": b"x" * (n % 5) for n in range(1300)})
        s3.fill(bucket, {"a/top": b"t", "b": b"b", "c/": b""})
    return paged_buckets[s3.url]


@pytest.mark.parametrize("key", ["", "a/*", "a/", "a/2", "b"])
async def test_pages_hold_what_a_whole_listing_holds(s3, paged_bucket, source, key):
    bucket = paged_bucket
    wanted = spec(s3, bucket, key, Filter="" if key == "b" else "[0-8]$|top|b")
    found, pages = await list_all(source, wanted) if key != "a/2" else await list_all(source, spec(s3, bucket, "a/2*"))
    whole = await source.resolve(wanted if key != "a/2" else spec(s3, bucket, "a/2*"))
    assert sorted(found) == sorted(whole.entries) and len({each.key for each in found}) == len(found)
    assert pages > 2 if key in ("", "a/*", "a/") else pages == 1


async def test_a_place_outside_of_the_prefix_is_refused(s3, bucket, source):
    with pytest.raises(StorageFailure, match="is not below 'a/'"):
        await source.list_page(spec(s3, bucket, "a/"), '["b/","",""]')
    with pytest.raises(StorageFailure, match="is not a place in a listing"):
        await source.list_page(spec(s3, bucket, "a/"), "nonsense")


async def test_nothing_matches(s3, bucket, source):
    s3.fill(bucket, {"there/": b"", "a/1": b""})
    with pytest.raises(StorageFailure, match=f"nothing matches prefix 'zzz' in bucket {bucket}") as raised:
        await source.resolve(spec(s3, bucket, "zzz*"))
    assert not raised.value.retryable
    with pytest.raises(StorageFailure, match=r"prefix 'there/' in bucket .* matches only keys that end in /"):
        await source.resolve(spec(s3, bucket, "there/"))
    with pytest.raises(StorageFailure, match="filter 'q' matches none of 1 objects"):
        await source.resolve(spec(s3, bucket, "a/", Filter="q"))
    assert (await source.resolve(spec(s3, bucket, "zzz*", AllowEmpty=True))).entries == ()


async def test_missing_object_and_missing_bucket(s3, bucket, source):
    with pytest.raises(StorageFailure, match=f"s3: no object zzz in bucket {bucket}"):
        await source.resolve(spec(s3, bucket, "zzz"))
    with pytest.raises(StorageFailure, match="s3: bucket nosuch-bucket does not exist"):
        await source.resolve(spec(s3, "nosuch-bucket", "zzz"))
    with pytest.raises(StorageFailure, match="s3: bucket nosuch-bucket does not exist"):
        await source.resolve(spec(s3, "nosuch-bucket", "zzz*"))


@pytest.mark.parametrize("key", ["k", "k*"])
async def test_a_private_bucket_without_credentials(s3, bucket, source, key, no_credentials):
    with pytest.raises(StorageFailure, match=f"s3: access denied to bucket {bucket} without credentials") as raised:
        await source.resolve(spec(s3, bucket, key))
    assert not raised.value.retryable


@pytest.mark.parametrize("key", ["k", "k*"])
async def test_wrong_credentials_are_named_not_shown(s3, bucket, source, key, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGKEYWRONG")
    with pytest.raises(StorageFailure, match=r"does not accept our credentials \(as AKIA…RONG\)"):
        await source.resolve(spec(s3, bucket, key))


async def test_wrong_credentials_do_not_close_a_public_bucket(s3, source, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGKEYWRONG")
    assert len(await stage(source, spec(s3, PUBLIC_BUCKET, TUTORIAL_PREFIX + "M3C02*"), tmp_path)) == 20


async def test_the_environments_endpoint(s3, bucket, source, tmp_path, monkeypatch):
    s3.fill(bucket, {"k": b"v"})
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    assert await stage(source, SpecConfig(type="s3", params={"bucket": bucket, "key": "k"}), tmp_path) == {"k": b"v"}


async def test_a_server_that_is_not_there(bucket):
    source = S3Source(patience=Patience(seconds=0, attempts=1, first=0.001))
    with pytest.raises(StorageFailure, match=r"cannot reach S3 at http://127\.0\.0\.1:1: ") as raised:
        await source.resolve(SpecConfig(type="s3", params={"Bucket": bucket, "Endpoint": "http://127.0.0.1:1"}))
    assert raised.value.retryable


async def test_a_folder_that_cannot_be_written_is_named(s3, bucket, source):
    s3.fill(bucket, {"big": os.urandom(3 << 20)})
    manifest = await source.resolve(spec(s3, bucket, "big"))
    assert manifest.size == 3 << 20
    with pytest.raises(StorageFailure, match="cannot write /proc"):
        await source.fetch(manifest, Path("/proc/nowhere"), ignore)


async def test_objects_are_shared_out_and_an_empty_share_is_no_error(s3, bucket, source, tmp_path):
    s3.fill(bucket, {f"uploads/{letter}.txt": letter.encode() for letter in "abcdef"})
    wanted = spec(s3, bucket, "uploads/*", Partition={"Type": "object"})
    got = []
    for index in range(3):
        manifest = await source.resolve(wanted, Partition(index, 3))
        (tmp_path / str(index)).mkdir()
        await source.fetch(manifest, tmp_path / str(index), ignore)
        got.append(sorted(os.listdir(tmp_path / str(index))))
    assert got == [["c.txt", "e.txt"], ["a.txt", "f.txt"], ["b.txt", "d.txt"]]
    one = spec(s3, bucket, "uploads/a.txt", Partition={"Type": "object"})
    assert sorted([len((await source.resolve(one, Partition(index, 3))).entries) for index in range(3)]) == [0, 0, 1]
    with pytest.raises(StorageFailure, match="nothing matches prefix 'none/'"):
        await source.resolve(spec(s3, bucket, "none/", Partition={"Type": "object"}), Partition(0, 3))
