"""Other S3 servers: moto for keys that SeaweedFS refuses, rclone as one that is sloppy with ranges, versions and
checksums.
"""

import pytest

from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.contract.test_s3_source import read_tree

pytestmark = pytest.mark.usefixtures("credentials")


def spec(url: str, bucket: str, key: str, **params: object) -> SpecConfig:
    return SpecConfig(type="s3", params={"Bucket": bucket, "Key": key, "Endpoint": url, **params})


@pytest.mark.parametrize("key", ["../up", "a/../../b", "/rooted"])
async def test_keys_that_would_leave_the_mount_are_refused(moto, source, key):
    url, boto = moto.url, moto.boto
    boto.create_bucket(Bucket="hostile")
    boto.put_object(Bucket="hostile", Key=key, Body=b"x")
    with pytest.raises(StorageFailure, match="would be written outside of the mount") as raised:
        await source.resolve(spec(url, "hostile", ""))
    assert repr(key) in str(raised.value)
    boto.delete_object(Bucket="hostile", Key=key)


async def test_keys_that_clash_are_refused_by_name(moto, source):
    url, boto = moto.url, moto.boto
    for bucket, keys in {"clash-one": ("both", "both/x"), "clash-two": ("a//b", "a/b")}.items():
        boto.create_bucket(Bucket=bucket)
        for key in keys:
            boto.put_object(Bucket=bucket, Key=key, Body=b"x")
        with pytest.raises(StorageFailure) as raised:
            await source.resolve(spec(url, bucket, ""))
        assert all(repr(key) in str(raised.value) for key in keys)


async def test_odd_but_harmless_keys_are_staged(moto, source, tmp_path):
    url, boto = moto.url, moto.boto
    boto.create_bucket(Bucket="odd")
    keys = {"x//y": "x/y", "d/./e": "d/e", "tab\tkey": "tab\tkey", "back\\slash": "back\\slash"}
    for key in keys:
        boto.put_object(Bucket="odd", Key=key, Body=key.encode())
    volume = await source.fetch(await source.resolve(spec(url, "odd", "")), tmp_path, ignore)
    assert read_tree(volume.path) == {path: key.encode() for key, path in keys.items()}


async def test_versions_and_missing_ones(moto, source, tmp_path):
    url, boto = moto.url, moto.boto
    boto.create_bucket(Bucket="versions")
    boto.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    old = boto.put_object(Bucket="versions", Key="k", Body=b"old")["VersionId"]
    boto.put_object(Bucket="versions", Key="k", Body=b"new")
    volume = await source.fetch(await source.resolve(spec(url, "versions", "k", VersionID=old)), tmp_path, ignore)
    assert read_tree(volume.path) == {"k": b"old"}
    with pytest.raises(StorageFailure, match="object k in bucket versions has no such version"):
        await source.resolve(spec(url, "versions", "k", VersionID="00000000-0000-0000-0000-000000000000"))


async def test_a_composite_checksum_is_compared_with_the_servers(moto, source, tmp_path):
    url, boto = moto.url, moto.boto
    boto.create_bucket(Bucket="composite")
    upload = boto.create_multipart_upload(Bucket="composite", Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, body in enumerate((b"x" * (5 << 20), b"tail"), start=1):
        answer = boto.upload_part(
            Bucket="composite", Key="k", UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]})
    boto.complete_multipart_upload(Bucket="composite", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    with pytest.raises(StorageFailure, match=r"checksum mismatch for s3://composite/k, expected .*-2, got"):
        await source.resolve(spec(url, "composite", "k", ChecksumSHA256="A" * 43 + "=-2"))


async def test_a_directory_object_means_what_is_below_it(moto, source):
    url, boto = moto.url, moto.boto
    boto.create_bucket(Bucket="folders")
    boto.put_object(Bucket="folders", Key="dir", Body=b"", ContentType="application/x-directory; charset=UTF-8")
    for key in ("dir/a", "dir/sub/b", "dir2/c"):
        boto.put_object(Bucket="folders", Key=key, Body=b"x")
    manifest = await source.resolve(spec(url, "folders", "dir"))
    assert [entry.path for entry in manifest.entries] == ["dir/a", "dir/sub/b"]


async def test_ranges_answered_with_status_200(rclone, source, tmp_path):
    body, box = bytes(range(256)) * (66 << 12), rclone.new_bucket()
    rclone.fill(box, {"large": body})
    volume = await source.fetch(await source.resolve(spec(rclone.url, box, "large")), tmp_path, ignore)
    assert (volume.path / "large").read_bytes() == body


async def test_results_on_a_server_that_keeps_no_checksums(rclone, tmp_path):
    box = rclone.new_bucket()
    tree = tmp_path / "tree"
    (tree / "outputs").mkdir(parents=True)
    (tree / "outputs" / "big").write_bytes(bytes(range(256)) * (9 << 12))
    (tree / "stdout").write_text("out")
    publisher, downloader = S3Publisher(), S3Downloader("http://127.0.0.1:1234")
    for encoding in ("gzip", "plain"):
        wanted = SpecConfig(
            type="s3", params={"bucket": box, "key": f"r/{encoding}", "endpoint": rclone.url, "encoding": encoding}
        )
        published = await publisher.publish(Result(tree, wanted, "j", "e", "n", 0), ignore)
        await downloader.download(published, tmp_path / encoding, ignore)
        assert read_tree(tmp_path / encoding) == read_tree(tree)
    await publisher.close()
