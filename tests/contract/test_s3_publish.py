"""S3 as the home of results: published by one, signed by another, fetched and verified by a third."""

import base64
import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
from pathlib import Path

import pytest

from bacalhau.lib.errors import Conflict, NotFound, PublisherFailure, StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.input import check_source
from bacalhau.plugins.s3.params import MARK
from bacalhau.plugins.s3.sign import presign_result
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import Step, ignore
from bacalhau.ports.publisher import Result
from tests.contract.test_s3_source import read_tree
from tests.support.s3 import S3, clear_aws

pytestmark = pytest.mark.usefixtures("credentials")
STARTED = 1_710_513_000_000_000_000  # 2024-03-15 14:30:00 UTC


@pytest.fixture(params=["seaweedfs", "ceph"])
def s3(request) -> S3:
    """The two servers that people run, in turn."""
    found: S3 = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def downloader():
    return S3Downloader("http://127.0.0.1:1234")


@pytest.fixture
def tree(tmp_path) -> Path:
    folder = tmp_path / "result"
    (folder / "outputs" / "sub").mkdir(parents=True)
    (folder / "outputs" / "empty").mkdir()
    (folder / "stdout").write_text("out\n")
    (folder / "stderr").write_text("")
    (folder / "exitCode").write_text("0")
    (folder / "outputs" / "sub" / "data b.bin").write_bytes(os.urandom(200_000))
    (folder / "outputs" / "link").symlink_to("sub/data b.bin")
    os.mkfifo(folder / "outputs" / "pipe")
    return folder


def result(s3: S3, tree: Path, bucket: str, key: str, **params: object) -> Result:
    publisher = SpecConfig(
        type="s3", params={"bucket": bucket, "key": key, "endpoint": s3.url, "region": "us-east-1", **params}
    )
    return Result(tree, publisher, "j-1", "e-2", "n-3", STARTED)


def params_of(spec: SpecConfig) -> dict:
    assert spec.params is not None
    return spec.params


def read_mark_of(s3: S3, bucket: str, prefix: str) -> bytes:
    body: bytes = s3.boto.get_object(Bucket=bucket, Key=prefix + MARK)["Body"].read()
    return body


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


async def test_an_archive_and_what_is_recorded_of_it(s3, bucket, publisher, tree):
    steps: list[Step] = []
    spec = await publisher.publish(result(s3, tree, bucket, "result-{date}-{jobID}"), steps.append)
    stored = s3.boto.get_object(Bucket=bucket, Key="result-20240315-j-1.tar.gz", ChecksumMode="ENABLED")
    body = stored["Body"].read()
    assert spec == SpecConfig(
        type="s3",
        params={
            "Bucket": bucket,
            "Key": "result-20240315-j-1.tar.gz",
            "Filter": "",
            "Region": "us-east-1",
            "Endpoint": s3.url,
            "VersionID": "",
            "ChecksumSHA256": sha256(body),
            "Partition": {"Type": "", "Pattern": "", "StartIndex": 0, "EndIndex": 0, "DateFormat": ""},
        },
    )
    assert stored["Metadata"]["bacalhau-sha256"] == sha256(body)
    assert stored.get("ChecksumSHA256", sha256(body)) == sha256(body)  # some servers keep none
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        names = [
            "exitCode",
            "outputs",
            "outputs/empty",
            "outputs/link",
            "outputs/sub",
            "outputs/sub/data b.bin",
            "stderr",
            "stdout",
        ]
        assert tar.getnames() == names
        assert tar.getmember("outputs/link").linkname == "sub/data b.bin"
        assert {(info.mtime, info.uid, info.gid) for info in tar} == {(0, 0, 0)}
    assert steps[-1] == Step("publishing", 1, 1, len(body), len(body))


async def test_publishing_twice_leaves_one_result(s3, bucket, publisher, tree):
    wanted = result(s3, tree, bucket, "{executionID}/{nodeID}/{time}.tar.gz")
    assert await publisher.publish(wanted, ignore) == await publisher.publish(wanted, ignore)
    assert [each["Key"] for each in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]] == ["e-2/n-3/143000.tar.gz"]


async def test_the_version_is_recorded_and_signed(s3, bucket, publisher, downloader, tree, tmp_path):
    s3.boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    assert params_of(spec)["VersionID"] == s3.boto.head_object(Bucket=bucket, Key="k.tar.gz")["VersionId"]
    s3.fill(bucket, {"k.tar.gz": b"overwritten"})
    signed = await presign_result(spec, 60)
    await downloader.download(signed, tmp_path / "got", ignore)
    assert (tmp_path / "got" / "stdout").read_text() == "out\n"


@pytest.mark.parametrize("size", [20 << 20, 8 << 20])
async def test_a_large_archive_goes_in_parts_and_its_checksum_is_of_the_whole(
    s3, bucket, publisher, downloader, tmp_path, size
):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "stdout").write_bytes(os.urandom(size))
    spec = await publisher.publish(result(s3, tmp_path / "tree", bucket, "big"), ignore)
    body = s3.boto.get_object(Bucket=bucket, Key="big.tar.gz")["Body"].read()
    assert params_of(spec)["ChecksumSHA256"] == sha256(body)
    await downloader.download(spec, tmp_path / "got", ignore)
    assert read_tree(tmp_path / "got") == read_tree(tmp_path / "tree")
    assert "Uploads" not in s3.boto.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("option", [{"encoding": "plain"}, {"compress": "false"}, {"Compress": False}])
async def test_plain_results_are_one_object_a_file(s3, bucket, publisher, downloader, tree, tmp_path, option):
    (tree / "outputs" / "large.bin").write_bytes(os.urandom(9 << 20))
    (tree / "outputs" / "secret").symlink_to("/etc/hostname")
    spec = await publisher.publish(result(s3, tree, bucket, "plain/{jobID}", **option), ignore)
    mark = read_mark_of(s3, bucket, "plain/j-1/")
    assert (params_of(spec)["Key"], params_of(spec)["ChecksumSHA256"]) == ("plain/j-1/", sha256(mark))
    names = {"exitCode", "outputs/link", "outputs/large.bin", "outputs/sub/data b.bin", "stderr", "stdout"}
    assert {each["Key"] for each in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]} == {
        "plain/j-1/" + name for name in {*names, MARK}
    }
    assert json.loads(mark) == {
        "version": 1,
        "jobID": "j-1",
        "executionID": "e-2",
        "files": [
            {"path": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            for name, body in ((name, (tree / name).read_bytes()) for name in sorted(names))
        ],
    }
    recorded = s3.boto.head_object(Bucket=bucket, Key="plain/j-1/outputs/large.bin")["Metadata"]["bacalhau-sha256"]
    assert recorded == sha256((tree / "outputs" / "large.bin").read_bytes())
    got = tmp_path / "got"
    await downloader.download(spec, got, ignore)
    assert read_tree(got) == {name: (tree / name).read_bytes() for name in names}


async def test_a_result_is_an_input(s3, bucket, publisher, tree, tmp_path):
    source = S3Source()
    for number, option in enumerate(("plain", "gzip")):
        spec = await publisher.publish(result(s3, tree, bucket, "r", encoding=option), ignore)
        volume = await source.fetch(await source.resolve(spec), tmp_path / str(number), ignore)
        found = read_tree(volume.path)
        assert ("exitCode" if option == "plain" else "r.tar.gz") in found and MARK not in found
        page = await source.list_page(spec, "")
        assert {entry.path for entry in page.entries} == set(found)
        assert check_source(spec) == []
    await source.close()


async def plain_result(s3, bucket, publisher, tree, key="plain/{executionID}", execution_id="e-2"):
    wanted = result(s3, tree, bucket, key, encoding="plain")._replace(execution_id=execution_id)
    return await publisher.publish(wanted, ignore)


async def test_half_of_a_plain_result_is_seen_as_half(s3, bucket, publisher, downloader, tree, tmp_path):
    spec = await plain_result(s3, bucket, publisher, tree)
    s3.boto.delete_object(Bucket=bucket, Key=f"plain/e-2/{MARK}")
    source = S3Source()
    for read in (
        downloader.download(spec, tmp_path / "got", ignore),
        source.resolve(spec),
        source.list_page(spec, ""),
    ):
        with pytest.raises(StorageFailure, match=r"is incomplete: its last object, _bacalhau/manifest\.json, is not"):
            await read
    await source.close()
    older = SpecConfig(type="s3", params=params_of(spec) | {"ChecksumSHA256": ""})
    await downloader.download(older, tmp_path / "got", ignore)
    assert (tmp_path / "got" / "stdout").read_text() == "out\n"


async def test_a_plain_result_that_another_execution_replaced_says_which(
    s3, bucket, publisher, downloader, tree, tmp_path
):
    first = await plain_result(s3, bucket, publisher, tree, "same")
    await plain_result(s3, bucket, publisher, tree, "same", "e-8")
    with pytest.raises(StorageFailure, match=r"was replaced by execution e-8 of job j-1, at .*GMT") as raised:
        await downloader.download(first, tmp_path / "mine", ignore)
    assert "{executionID}" in raised.value.hint


async def test_a_plain_result_that_is_being_replaced_has_no_mark(s3, bucket, publisher, downloader, tree, tmp_path):
    """The mark goes before the first file is replaced, also where the second result never becomes whole."""
    first = await plain_result(s3, bucket, publisher, tree, "same")

    async def refuse() -> None:
        if "same/" + MARK not in {each["Key"] for each in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]}:
            raise Conflict("another attempt may publish")

    wanted = result(s3, tree, bucket, "same", encoding="plain")._replace(execution_id="e-8", confirm=refuse)
    with pytest.raises(Conflict):
        await publisher.publish(wanted, ignore)
    with pytest.raises(StorageFailure, match="is incomplete"):
        await downloader.download(first, tmp_path / "mine", ignore)


async def test_the_mark_is_stored_last_and_by_who_may_publish(s3, bucket, publisher, tree):
    seen: list[set[str]] = []

    async def look() -> None:
        seen.append({each["Key"] for each in s3.boto.list_objects_v2(Bucket=bucket).get("Contents", ())})

    wanted = result(s3, tree, bucket, "p/{executionID}", encoding="plain")._replace(confirm=look)
    await publisher.publish(wanted, ignore)
    files = {"p/e-2/" + name for name in ("exitCode", "stdout", "stderr", "outputs/link", "outputs/sub/data b.bin")}
    assert seen[-1] == files and all(each <= files for each in seen)


async def test_a_file_with_the_name_of_the_mark_is_refused_before_anything_is_sent(s3, bucket, publisher, tree):
    (tree / "_bacalhau").mkdir()
    (tree / MARK).write_text("mine")
    with pytest.raises(PublisherFailure, match=r"file name '_bacalhau/manifest\.json' is that of the mark"):
        await plain_result(s3, bucket, publisher, tree)
    assert "Contents" not in s3.boto.list_objects_v2(Bucket=bucket)


async def test_a_signed_link_needs_no_credentials(s3, bucket, publisher, downloader, tree, tmp_path, monkeypatch):
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    signed = await presign_result(spec, 900)
    given = params_of(signed)
    assert (signed.type, set(given), given["Managed"], given["SourceSpec"]) == (
        "s3PreSigned",
        {"SourceSpec", "PreSignedURL", "Managed"},
        False,
        spec.params,
    )
    assert "X-Amz-Expires=900" in given["PreSignedURL"]
    clear_aws(monkeypatch)
    assert await presign_result(spec, 900) == spec
    await downloader.download(signed, tmp_path / "got", ignore)
    assert read_tree(tmp_path / "got") == {name: body for name, body in read_tree_without_pipes(tree).items()}
    assert os.readlink(tmp_path / "got" / "outputs" / "link") == "sub/data b.bin"
    assert (tmp_path / "got" / "outputs" / "empty").is_dir()
    with pytest.raises(StorageFailure, match=r"access denied to bucket .* without credentials"):
        await downloader.download(spec, tmp_path / "other", ignore)


def read_tree_without_pipes(folder: Path) -> dict[str, bytes]:
    (folder / "outputs" / "pipe").unlink(missing_ok=True)
    return read_tree(folder)


async def test_a_broken_link_falls_back_to_own_credentials(
    s3, bucket, publisher, downloader, tree, tmp_path, monkeypatch
):
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    signed = await presign_result(spec, 900)
    broken = SpecConfig(
        type=signed.type,
        params={**params_of(signed), "PreSignedURL": params_of(signed)["PreSignedURL"][:-6] + "000000"},
    )
    await downloader.download(broken, tmp_path / "got", ignore)
    assert (tmp_path / "got" / "exitCode").read_text() == "0"
    clear_aws(monkeypatch)
    with pytest.raises(StorageFailure, match="by its signed link"):
        await downloader.download(broken, tmp_path / "other", ignore)


async def test_one_path_of_a_result(s3, bucket, publisher, downloader, tree, tmp_path):
    for encoding in ("gzip", "plain"):
        spec = await publisher.publish(result(s3, tree, bucket, "k", encoding=encoding), ignore)
        got = tmp_path / encoding
        await downloader.download(spec, got, ignore, only="outputs/sub")
        assert set(read_tree(got)) == {"outputs/sub/data b.bin"}
        with pytest.raises(NotFound, match="the result has no outputs/nope"):
            await downloader.download(spec, got, ignore, only="outputs/nope")


async def test_an_overwritten_result_is_not_taken_for_the_recorded_one(
    s3, bucket, publisher, downloader, tree, tmp_path
):
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    s3.fill(bucket, {"k.tar.gz": gzip.compress(b"something else")})
    with pytest.raises(StorageFailure, match=r"checksum mismatch.*changed after it was published, at .*GMT"):
        await downloader.download(spec, tmp_path / "got", ignore)


@pytest.mark.parametrize("large", [False, True])
async def test_a_result_that_another_execution_replaced_says_which(
    s3, bucket, publisher, downloader, tree, tmp_path, large
):
    first = await publisher.publish(result(s3, tree, bucket, "same"), ignore)
    (tree / "outputs" / "more").write_bytes(os.urandom(20 << 20 if large else 10))
    other = result(s3, tree, bucket, "same")._replace(job_id="j-9", execution_id="e-8")
    await publisher.publish(other, ignore)
    with pytest.raises(StorageFailure, match=r"overwritten by execution e-8 of job j-9, at .*GMT") as raised:
        await downloader.download(first, tmp_path / "mine", ignore)
    assert "{executionID}" in raised.value.hint


async def test_a_partial_archive_is_continued(s3, bucket, publisher, downloader, tree, tmp_path):
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    body = s3.boto.get_object(Bucket=bucket, Key="k.tar.gz")["Body"].read()
    part = tmp_path / "got" / f".{hashlib.sha256(body).hexdigest()[:16]}.part"
    for held, first in ((body[:100_000], 100_000), (b"damaged" * 10, 0), (body, None)):
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(held)
        steps: list[Step] = []
        await downloader.download(spec, part.parent, steps.append)
        assert (tmp_path / "got" / "stdout").read_text() == "out\n"
        assert not part.exists()
        assert {step.bytes_total for step in steps} == ({len(body)} if first is not None else set())


async def test_verified_files_of_a_plain_result_are_not_fetched_again(
    s3, bucket, publisher, downloader, tree, tmp_path
):
    spec = await publisher.publish(result(s3, tree, bucket, "k", encoding="plain"), ignore)
    await downloader.download(spec, tmp_path / "got", ignore)
    (tmp_path / "got" / "stdout").write_text("bad\n")
    steps: list[Step] = []
    await downloader.download(spec, tmp_path / "got", steps.append)
    assert {step.total for step in steps} == {1}
    assert (tmp_path / "got" / "stdout").read_text() == "out\n"


async def test_publishing_without_credentials(s3, bucket, publisher, tree, no_credentials):
    with pytest.raises(Unavailable, match="no AWS credentials on this node"):
        await publisher.check()
    with pytest.raises(
        PublisherFailure, match=f"s3: access denied to bucket {bucket} without credentials for k.tar.gz"
    ):
        await publisher.publish(result(s3, tree, bucket, "k"), ignore)


async def test_bad_parameters_are_refused_before_anything_is_sent(s3, publisher, tree):
    await publisher.check()
    with pytest.raises(PublisherFailure, match="bucket cannot be empty"):
        await publisher.publish(result(s3, tree, "", "k"), ignore)


async def test_sockets_are_left_out(s3, bucket, publisher, tree, monkeypatch):
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("outputs/socket")
    spec = await publisher.publish(result(s3, tree, bucket, "k"), ignore)
    assert params_of(spec)["Key"] == "k.tar.gz"
