"""boto3 reads what we write, and its transfer manager writes what we read."""

import base64
import hashlib
import io
import os
import tarfile

import pytest

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.sign import presign_result
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.mark.parametrize("size", [10, 20 << 20])
async def test_boto3_reads_our_archive_and_its_checksum(s3, bucket, tmp_path, size):
    body = os.urandom(size)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "stdout").write_bytes(body)
    publisher = S3Publisher()
    wanted = SpecConfig(type="s3", params={"bucket": bucket, "key": "k", "endpoint": s3.url})
    spec = await publisher.publish(Result(tmp_path / "tree", wanted, "j", "e", "n", 0), ignore)
    await publisher.close()
    stored = io.BytesIO()
    s3.boto.download_fileobj(bucket, spec.params["Key"], stored)
    assert spec.params["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(stored.getvalue()).digest()).decode()
    stored.seek(0)
    with tarfile.open(fileobj=stored) as tar:
        assert tar.extractfile("stdout").read() == body


async def test_our_signed_links_have_the_address_of_boto3s(s3, bucket):
    spec = SpecConfig(
        type="s3", params={"Bucket": bucket, "Key": "a b/ü+.tar.gz", "Endpoint": s3.url, "Region": "us-east-1"}
    )
    ours = (await presign_result(spec, 900)).params["PreSignedURL"]
    theirs = s3.boto.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "a b/ü+.tar.gz"}, ExpiresIn=900
    )
    assert ours.split("?")[0] == theirs.split("?")[0]


async def test_we_read_what_the_transfer_manager_wrote(s3, bucket, tmp_path):
    body = os.urandom(70 << 20)
    s3.boto.upload_fileobj(io.BytesIO(body), bucket, "deep/large")
    source = S3Source()
    manifest = await source.resolve(
        SpecConfig(type="s3", params={"Bucket": bucket, "Key": "deep/", "Endpoint": s3.url})
    )
    volume = await source.fetch(manifest, tmp_path, ignore)
    await source.close()
    assert (volume.path / "large").read_bytes() == body
