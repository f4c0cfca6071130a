"""The table of `docs/stores.md`: each column is compared with what its server does."""

import asyncio
import re
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.support.s3 import PUBLIC_BUCKET, S3, TUTORIAL_PREFIX

PAGE = Path(__file__).parents[2] / "docs/stores.md"
COLUMNS = {"s3": "SeaweedFS 4.48", "moto": "moto 5.2", "rclone": "rclone 1.75", "ceph": "Ceph 16.2"}
KEYS = {
    r"`\`": "a\\b",
    "a newline": "a\nb",
    "a control character that XML has (U+007F)": "a\x7fb",
    "one that XML has not (U+0001)": "a\x01b",
    "`100%`, `a%20b`": "100%/a%20b",
    "`a+b`": "a+b",
    "a blank at the end": "k ",
    "a name of 255 bytes": "x" * 255,
    "a name of 300 bytes": "x" * 300,
    "a key that ends in `/`": "folder/",
    "`a//b`": "a//b",
    "`a/./b`": "a/./b",
}


def refuses(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError:
        return True
    return False


def checksums(store: S3, box: str) -> str:
    body = {"Bucket": box, "Key": "sum", "Body": b"hello"}
    is_compared = refuses(lambda: store.boto.put_object(**body, ChecksumSHA256=b64encode(bytes(32)).decode()))
    right = b64encode(sha256(b"hello").digest()).decode()
    store.boto.put_object(**body, ChecksumSHA256=right)
    is_kept = store.boto.head_object(Bucket=box, Key="sum", ChecksumMode="ENABLED").get("ChecksumSHA256") == right
    return ", ".join(["kept"] * is_kept + ["compared"] * is_compared) or "no"


def versions(store: S3, box: str) -> str:
    enabled = {"Bucket": box, "VersioningConfiguration": {"Status": "Enabled"}}
    if refuses(lambda: store.boto.put_bucket_versioning(**enabled)):
        return "no"
    old = store.boto.put_object(Bucket=box, Key="version", Body=b"old").get("VersionId", "")
    store.boto.put_object(Bucket=box, Key="version", Body=b"new")
    is_there = old and store.boto.get_object(Bucket=box, Key="version", VersionId=old)["Body"].read() == b"old"
    return "yes" if is_there else "no"


def conditions(store: S3, box: str) -> str:
    store.fill(box, {"condition": b"x"})
    is_refused = refuses(lambda: store.boto.get_object(Bucket=box, Key="condition", IfMatch='"0000"'))
    return "yes" if is_refused else "no"


def parts(store: S3, box: str) -> str:
    place = {"Bucket": box, "Key": "parts"}
    place["UploadId"] = store.boto.create_multipart_upload(**place)["UploadId"]
    sent = [
        {"PartNumber": number, "ETag": store.boto.upload_part(**place, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, bytes(5 << 20)), (2, b"end"))
    ]
    store.boto.complete_multipart_upload(**place, MultipartUpload={"Parts": sent})
    size = store.boto.head_object(Bucket=box, Key="parts")["ContentLength"]
    return "yes" if size == (5 << 20) + 3 else "no"


def pages(store: S3, box: str) -> str:
    store.fill(box, {f"page/{number}": b"" for number in range(3)})
    first = store.boto.list_objects_v2(Bucket=box, Prefix="page/", MaxKeys=2)
    rest = store.boto.list_objects_v2(
        Bucket=box, Prefix="page/", MaxKeys=2, ContinuationToken=first["NextContinuationToken"]
    )
    keys = [each["Key"] for each in first["Contents"] + rest["Contents"]]
    return "yes" if keys == [f"page/{number}" for number in range(3)] else "no"


def links(store: S3, box: str) -> str:
    store.fill(box, {"link": b"hello"})
    url = store.boto.generate_presigned_url("get_object", {"Bucket": box, "Key": "link"})
    is_read, is_forged = is_open(url), is_open(url[:-6] + "000000")
    return ("forged ones too" if is_forged else "yes") if is_read else "no"


def is_open(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def anybody(store: S3, box: str) -> str:
    store.fill(box, {"private": b"x"})
    if is_open(f"{store.url}/{box}/private"):
        return "everything"
    store.boto.put_object(Bucket=box, Key="public", Body=b"x", ACL="public-read")
    name = f"{TUTORIAL_PREFIX}M3C01_G16_s20000011200000.nc"
    found = {"buckets": f"{PUBLIC_BUCKET}/{name}", "objects": f"{box}/public"}
    return ", ".join(f"public {what}" for what, path in found.items() if is_open(f"{store.url}/{path}")) or "nothing"


TRAITS = {
    "SHA-256 of an object": checksums,
    "older versions": versions,
    "`If-Match`": conditions,
    "upload in parts": parts,
    "listing in pages": pages,
    "signed links": links,
    "readable without credentials": anybody,
}


def fate(store: S3, key: str) -> str:
    """What becomes of an object under an odd key."""
    box = store.new_bucket()
    if refuses(lambda: store.boto.put_object(Bucket=box, Key=key, Body=b"hello")):
        return "refused"
    listed = [each["Key"] for each in store.boto.list_objects_v2(Bucket=box).get("Contents", ())]
    if listed != [key]:
        return f"becomes {listed[0]}" if listed else "lost"
    is_whole = store.boto.get_object(Bucket=box, Key=key)["Body"].read() == b"hello"
    return "kept" if is_whole else "empty"


def find_column(store: S3) -> dict[str, str]:
    box = store.new_bucket()
    return {name: find(store, box) for name, find in TRAITS.items()} | {
        name: fate(store, key) for name, key in KEYS.items()
    }


def read_column(title: str) -> dict[str, str]:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in PAGE.read_text().split("\n\n")[2].splitlines()
    ]
    place = rows[0].index(title)
    return {row[0]: row[place].replace("`", "") for row in rows[2:]}


async def test_the_table_tells_what_a_server_does(store, request):
    title = COLUMNS[request.node.callspec.params["store"]]
    assert read_column(title) == await asyncio.to_thread(find_column, store)
