"""What a job may say about S3, and what is said back."""

import pytest

from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.objects.digest import full_checksum
from bacalhau.plugins.s3.input import S3InputParams, check_source
from bacalhau.plugins.s3.params import (
    S3PublisherParams,
    S3SourceParams,
    check_publisher,
    result_spec,
)

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BASE64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def source(**params: object) -> list[str]:
    return check_source(SpecConfig(type="s3", params=params))


def publisher(**params: object) -> list[str]:
    return check_publisher(SpecConfig(type="s3", params=params))


def test_names_are_taken_in_any_case():
    read = require_params(
        SpecConfig(type="S3", params={"bucket": "b", "VERSIONID": "v", "checksumsha256": BASE64, "Filter": None}),
        S3SourceParams,
    )
    assert (read.bucket, read.version_id, read.checksum_sha256, read.filter) == ("b", "v", BASE64, "")


@pytest.mark.parametrize(
    "params",
    [
        {"Bucket": "noaa-goes16", "Key": "ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*", "Region": "us-east-1"},
        {"Bucket": "b"},
        {"Bucket": "Old_Bucket.Name", "Key": "k", "VersionID": "v", "ChecksumSHA256": HEX},
        {"Bucket": "b", "Key": "k", "ChecksumSHA256": "0x" + HEX},
        {"Bucket": "b", "Key": "k", "ChecksumSHA256": BASE64 + "-12"},
        {"Bucket": "b", "Key": "p/", "Filter": r"(?P<day>\d+)-[a-z]+?\.csv$", "Endpoint": "http://127.0.0.1:9000"},
        {"Bucket": "b", "Partition": {"Type": "none"}},
        {"Bucket": "b", "Partition": {"BytesPerPartition": "10Gb", "GroupBy": "^[a-z]+"}},
        {"Bucket": "b", "Key": "2024-*/raw/**/*.nc", "Include": ["*.nc"], "MinSize": "1Mb", "Newer": "7d"},
        {"Bucket": "b", "Key": "*/[*]", "Manifest": "s3://other/keys.txt"},
        {"Bucket": "b", "Key": "p/", "Keys": ["p/x", "s3://b/p/y", "", "p/z "]},
        result_spec({"Bucket": "b", "Key": "k"}).params,
        result_spec({"Bucket": "b", "Key": "plain/", "ChecksumSHA256": BASE64}).params,
    ],
)
def test_good_sources(params):
    assert source(**params) == []


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "bucket cannot be empty"),
        ({"Bucket": "evil.example/x"}, "is not a bucket name"),
        ({"Bucket": [3]}, "field 'Bucket': expected `str`, got `array` (value: [3])"),
        ({"Bucket": "b", "Endpoint": "localhost:9000"}, "is not a URL"),
        ({"Bucket": "b", "Filter": "("}, "invalid regex pattern"),
        ({"Bucket": "b", "Filter": "a(?=b)"}, "invalid perl operator: (?="),
        ({"Bucket": "b", "Filter": r"(a)\1"}, "invalid escape sequence"),
        ({"Bucket": "b", "Filter": "(" * 3000}, "is an invalid regex pattern: missing )"),
        ({"Bucket": "b", "Filter": "x" * 900_000}, "it has 900000 characters, more than 4096"),
        ({"Bucket": "b", "Partition": {"Type": "date", "DateFormat": "1" * 300}}, "has 300 characters, more than 256"),
        ({"Bucket": "b", "Key": "one", "Filter": "x"}, "filter needs a prefix"),
        (
            {"Bucket": "b", "Partition": {"Type": "count", "BytesPerPartition": "1Gb"}},
            "partition bytes per partition needs the type bytes, not count",
        ),
        (
            {"Bucket": "b", "Partition": {"BytesPerPartition": "0"}},
            "partition bytes per partition '0' cannot be read: write a number of bytes above 0",
        ),
        ({"Bucket": "b", "Key": "one", "Newer": "1d"}, "newer needs a prefix, and key 'one' is one object"),
        ({"Bucket": "b", "Key": "one", "Keys": ["one"]}, "manifest needs a prefix"),
        ({"Bucket": "b", "Key": "a*/[x", "Include": ["*"]}, "key 'a*/[x' is no glob: a [ is not closed by a ]"),
        ({"Bucket": "b", "Key": "a*b", "VersionID": "v"}, "versionID needs one object, and key 'a*b' is a prefix"),
        ({"Bucket": "b", "Include": "*.nc"}, "field 'Include': expected `array`, got `str`"),
        ({"Bucket": "b", "Exclude": ["["]}, "exclude is not a list of globs: '['"),
        ({"Bucket": "b", "MaxSize": "much"}, "max size 'much' cannot be read: write a number of bytes"),
        ({"Bucket": "b", "Older": "soon"}, "older 'soon' cannot be read: write a date such as"),
        ({"Bucket": "b", "Manifest": "keys.txt"}, "manifest 'keys.txt' is no object: write s3://BUCKET/KEY"),
        ({"Bucket": "b", "Manifest": "s3://b/p/"}, "manifest 's3://b/p/' is no object"),
        ({"Bucket": "b", "Manifest": "s3://b/k", "Keys": ["k"]}, "manifest and keys are two lists"),
        ({"Bucket": "b", "Keys": ["s3://c/k"]}, "keys have 's3://c/k', which is no object of bucket b"),
        ({"Bucket": "b", "Key": "p/", "Keys": ["q"]}, "keys have 'q', which does not begin with 'p/'"),
        ({"Bucket": "b", "Keys": ["k" * 1025]}, "is longer than a key can be: 1024 bytes"),
        ({"Bucket": "b", "Keys": ["k"] * 10_001}, "keys are 10,001, more than 10,000: put the list into a bucket"),
        ({"Bucket": "b", "Key": "p*", "VersionID": "v"}, "versionID needs one object"),
        ({"Bucket": "b", "Key": "p/*", "ChecksumSHA256": BASE64}, "checksumSHA256 needs one object"),
        ({"Bucket": "b", "Key": "a*b/", "ChecksumSHA256": BASE64}, "checksumSHA256 needs one object"),
        ({"Bucket": "b", "Key": "p/", "ChecksumSHA256": BASE64 + "-12"}, "checksumSHA256 needs one object"),
        ({"Bucket": "b", "Key": "k", "ChecksumSHA256": "AAAA"}, "is no SHA-256"),
        ({"Bucket": "b", "Key": "k", "ChecksumSHA256": "ünicode"}, "is no SHA-256"),
        (
            {"Bucket": "b", "Partition": {"Type": "hash"}},
            "unsupported partition type 'hash': use none, object, regex, substring, date, bytes or count",
        ),
        ({"Bucket": "b", "Partition": {"Type": "regex"}}, "partition pattern cannot be empty"),
        (
            {"Bucket": "b", "Partition": {"Type": "regex", "Pattern": "("}},
            "partition pattern '(' is an invalid regex pattern",
        ),
        ({"Bucket": "b", "Partition": {"Type": "regex", "Pattern": "a(?=b)"}}, "invalid perl operator: (?="),
        (
            {"Bucket": "b", "Partition": {"Type": "substring", "StartIndex": -1, "EndIndex": 2}},
            "start index cannot be negative: -1",
        ),
        (
            {"Bucket": "b", "Partition": {"Type": "substring", "StartIndex": 2, "EndIndex": 2}},
            "end index 2 must be greater than start index 2",
        ),
        ({"Bucket": "b", "Partition": {"Type": "date"}}, "date format cannot be empty"),
        ({"Bucket": "b", "Partition": {"Type": "date", "DateFormat": "%Y-%m"}}, "names no part of a date"),
    ],
)
def test_bad_sources(params, problem):
    found = source(**params)
    assert len(found) == 1
    assert found[0].startswith("invalid s3 storage params: ")
    assert problem in found[0]
    assert len(found[0]) < 500


def test_all_problems_are_listed():
    assert len(source(Endpoint="x", Filter="(", Key="k")) == 4
    assert publisher() == ["invalid s3 params. bucket cannot be empty", "invalid s3 params. key cannot be empty"]


@pytest.mark.parametrize(
    ("params", "is_plain"),
    [
        ({}, False),
        ({"Encoding": "gzip"}, False),
        ({"encoding": "Plain"}, True),
        ({"compress": "true"}, False),
        ({"Compress": True}, False),
        ({"compress": "false"}, True),
        ({"Compress": False}, True),
        ({"compress": "false", "encoding": "plain"}, True),
    ],
)
def test_both_spellings_of_the_encoding(params, is_plain):
    given = {"bucket": "b", "key": "result-{date}-{jobID}", **params}
    assert publisher(**given) == []
    assert require_params(SpecConfig(type="s3", params=given), S3PublisherParams).is_plain is is_plain


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"bucket": ""}, "invalid s3 params. bucket cannot be empty"),
        ({"key": " "}, "invalid s3 params. key cannot be empty"),
        ({"key": "k-{jobid}"}, "unknown placeholder {jobid} in key 'k-{jobid}': known are {jobID}, "),
        ({"key": "k" * 1000}, "key is longer"),
        ({"encoding": "zip"}, "invalid s3 params. encoding must be either 'plain' or 'gzip'"),
        ({"compress": "maybe"}, "compress must be true or false"),
        ({"compress": "true", "encoding": "plain"}, "encoding=plain contradicts compress=true"),
    ],
)
def test_bad_publishers(params, problem):
    found = publisher(**{"bucket": "b", "key": "k", **params})
    assert len(found) == 1
    assert problem in found[0]
    assert len(found[0]) < 500


def test_checksums_become_base64():
    assert [full_checksum(text) for text in (HEX, "0x" + HEX.upper().replace("0X", ""), BASE64, BASE64 + "-3")] == [
        BASE64
    ] * 3 + [BASE64 + "-3"]


@pytest.mark.parametrize(
    ("key", "prefix", "glob", "single"),
    [
        ("", "", "", False),
        ("a/b", "a/b", "", True),
        (" a/b* ", "a/b", "", False),
        ("a/**", "a/", "", False),
        ("a/[x]?", "a/[x]?", "", True),
        ("2024-*/raw/*.nc", "2024-", "2024-*/raw/*.nc", False),
        ("a/2024-*/raw/", "a/2024-", "a/2024-*/raw/**", False),
        ("a*/b*", "a", "a*/b**", False),
        ("a?/*/b", "a", "a?/*/b", False),
        ("a[*]b", "a", "a[*]b", False),
    ],
)
def test_a_star_before_the_end_makes_a_key_a_glob(key, prefix, glob, single):
    params = S3InputParams(bucket="b", key=key)
    assert (params.prefix, params.glob, params.is_single) == (prefix, glob, single)
    result = S3SourceParams(bucket="b", key=key)
    assert result.glob == "" and result.prefix == key.strip().removesuffix("*")
