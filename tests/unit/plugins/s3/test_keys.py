"""From key to path and back, without a server."""

from pathlib import Path

import pytest

from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.objects.disk import disk_failure
from bacalhau.plugins.objects.keys import plan_entries, safe_path
from bacalhau.plugins.objects.results import fill_key
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.failure import Trouble, answer_failure, read_trouble
from bacalhau.plugins.s3.operation import Listed
from bacalhau.plugins.s3.upload import part_size
from bacalhau.ports.publisher import Result

GOES = "ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01"


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("a/b/", "a/b/x/y.txt", "x/y.txt"),
        ("a/b/00", "a/b/001.txt", "001.txt"),
        ("a/se", "a/set1/001.txt", "set1/001.txt"),
        ("", "a/b.txt", "a/b.txt"),
        (GOES, GOES + "_G16_c2017.nc", "OR_ABI-L1b-RadC-M3C01_G16_c2017.nc"),
        ("a/", "a//b", "b"),
    ],
)
def test_the_folder_part_of_the_prefix_is_dropped(prefix, key, path):
    assert [entry.path for entry in plan_entries("b", prefix, "", [Listed(key, 1, "e")])] == [path]


def test_folders_and_what_the_filter_does_not_find_are_left_out():
    listed = [Listed(key, 1, "") for key in ("p/", "p/d/", "p/1.csv", "p/2.txt")]
    assert [entry.key for entry in plan_entries("b", "p/", r"\.csv", listed)] == ["p/1.csv"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "..", "/x", "./."])
def test_keys_without_a_safe_path(key):
    with pytest.raises(StorageFailure, match="outside of the mount"):
        safe_path("b", key, "")


@pytest.mark.parametrize("key", ["a\0b", "a/\n", "\x1b[2J", "x" * 256 + "/a", "é" * 128, "ab/" * 1400])
def test_keys_that_can_be_no_file(key):
    with pytest.raises(StorageFailure, match="in bucket b can be no file: ") as refused:
        safe_path("b", key, "")
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b", "a/b/c/d"), ("a//b", "a/b"), ("a/./b", "a/b")])
def test_clashing_keys(keys):
    for listed in (keys, keys[::-1]):
        with pytest.raises(StorageFailure) as raised:
            plan_entries("b", "", "", [Listed(key, 1, "") for key in listed])
        assert all(repr(key) in str(raised.value) for key in keys)


@pytest.mark.parametrize(
    ("key", "is_plain", "filled"),
    [
        ("result-{date}-{jobID}", False, "result-20240315-j-1.tar.gz"),
        ("x.tar.gz", False, "x.tar.gz"),
        ("{nodeID}/{executionID}", True, "n-3/e-2/"),
        ("p/", True, "p/"),
        ("{time}{time}", False, "143000143000.tar.gz"),
    ],
)
def test_result_keys(key, is_plain, filled):
    result = Result(Path(), SpecConfig(), "j-1", "e-2", "n-3", 1_710_513_000_000_000_000)
    assert fill_key(key, result, is_plain=is_plain) == filled


@pytest.mark.parametrize(
    ("place", "key", "url"),
    [
        (BucketAddress("noaa-goes16"), "a b", "https://noaa-goes16.s3.us-east-1.amazonaws.com/a%20b"),
        (BucketAddress("noaa-goes16"), "", "https://noaa-goes16.s3.us-east-1.amazonaws.com/"),
        (BucketAddress("dotted.name"), "k", "https://s3.us-east-1.amazonaws.com/dotted.name/k"),
        (BucketAddress("dotted.name"), "", "https://s3.us-east-1.amazonaws.com/dotted.name"),
        (BucketAddress("b", "", "http://127.0.0.1:9000/"), "a//b/../c+=~", "http://127.0.0.1:9000/b/a//b/../c%2B%3D~"),
        (BucketAddress("b", "", "http://127.0.0.1:9000"), "", "http://127.0.0.1:9000/b"),
    ],
)
def test_addresses(place, key, url):
    assert place.url(key, (), "us-east-1") == url


def test_queries_are_sorted_and_escaped():
    assert (
        BucketAddress("b", "", "http://h").url("", (("prefix", "a b/"), ("list-type", "2")), "r")
        == "http://h/b?list-type=2&prefix=a%20b%2F"
    )


def test_the_chinese_partition():
    assert BucketAddress("bucket").url("k", (), "cn-north-1") == "https://bucket.s3.cn-north-1.amazonaws.com.cn/k"


def test_parts_are_few_enough():
    assert part_size(0) == part_size(1 << 30) == 8 << 20
    assert part_size(600 << 30) * 10_000 >= 600 << 30 and part_size(1 << 50) == 64 << 20


def test_a_full_disk():
    failure = disk_failure(OSError(28, "No space left on device"), Path("/data"), "S3")
    assert (failure.message, failure.retryable) == ("no space left on /data", False)


def test_troubles_are_read_from_header_and_body():
    assert read_trouble(301, "eu-1", b"") == Trouble(301, "", "", "eu-1")
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-2</Region></Error>"
    assert read_trouble(400, "", body) == Trouble(400, "AuthorizationHeaderMalformed", "m", "eu-2")


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(403, False), (404, False), (412, False), (500, True), (503, True), (429, True), (400, False)],
)
def test_whether_a_retry_can_help(status, retryable):
    failure = answer_failure(Trouble(status, "", "", ""), BucketAddress("b"), "k", "without credentials")
    assert failure.retryable is retryable
    assert failure.message.startswith("s3: ")
