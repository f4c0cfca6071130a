"""`-i`: what each form means, and how a wrong one is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.uris import parse_input

TUTORIAL = "s3://noaa-goes16/ABI-L1b-RadC/2000/001/12/OR_ABI-L1b-RadC-M3C01*"
S3 = {"Bucket": "", "Key": "", "Filter": "", "Region": "", "Endpoint": "", "VersionID": "", "ChecksumSHA256": ""}


def s3(bucket, key, **more):
    return {**S3, "Bucket": bucket, "Key": key, **more}


@pytest.mark.parametrize(
    ("text", "kind", "params", "target"),
    [
        (
            TUTORIAL + ":/inputs,opt=region=us-east-1",
            "s3",
            s3("noaa-goes16", TUTORIAL[17:], Region="us-east-1"),
            "/inputs",
        ),
        ("s3://Bucket/Key", "s3", s3("Bucket", "Key"), "/inputs"),
        ("S3://b/k:/in", "s3", s3("b", "k"), "/in"),
        ("s3://b:/in", "s3", s3("b", ""), "/in"),
        ("s3://b/:/in", "s3", s3("b", ""), "/in"),
        ("s3://b//a//b", "s3", s3("b", "a//b"), "/inputs"),
        ("s3://b/a%20b%2B", "s3", s3("b", "a b+"), "/inputs"),
        ("s3://b/dir:file:001.txt:/mnt", "s3", s3("b", "dir:file:001.txt"), "/mnt"),
        ("s3://b/year=2024/:/in", "s3", s3("b", "year=2024/"), "/in"),
        ("src=s3://b/year=2024/,dst=/in", "s3", s3("b", "year=2024/"), "/in"),
        ("SOURCE=s3://b/k,Destination=/d,option=filter=.*x=1$", "s3", s3("b", "k", Filter=".*x=1$"), "/d"),
        (
            "s3://b/2024-*/**/*.nc:/in,opt=include=*.nc,opt=include=x/,opt=exclude=t,opt=min-size=1Kb,opt=newer=7d",
            "s3",
            s3("b", "2024-*/**/*.nc", Include=["*.nc", "x/"], Exclude=["t"], MinSize="1Kb", Newer="7d"),
            "/in",
        ),
        (
            "s3://b/p/,opt=bytes-per-partition=10Gb",
            "s3",
            s3("b", "p/", Partition={"Type": "bytes", "BytesPerPartition": "10Gb"}),
            "/inputs",
        ),
        ("s3://b,opt=manifest=s3://c/k", "s3", s3("b", "", Manifest="s3://c/k"), "/inputs"),
        (
            "s3://b/p/,opt=partition=substring,opt=start-index=0,opt=end-index=4",
            "s3",
            s3("b", "p/", Partition={"Type": "substring", "StartIndex": 0, "EndIndex": 4}),
            "/inputs",
        ),
        (
            "s3://b/p/,opt=partition=bytes,opt=group-by=^[^_]+",
            "s3",
            s3("b", "p/", Partition={"Type": "bytes", "GroupBy": "^[^_]+"}),
            "/inputs",
        ),
        ("s3://b/k:/a,target=/z", "s3", s3("b", "k"), "/z"),
        ('"s3://b/a,b:/in",opt=endpoint=http://h:9000', "s3", s3("b", "a,b", Endpoint="http://h:9000"), "/in"),
        (
            "s3://b/k,opt=checksum-sha256=abc=,opt=version-id=v1",
            "s3",
            s3("b", "k", ChecksumSHA256="abc=", VersionID="v1"),
            "/inputs",
        ),
        (
            "s3://b/k,opt=checksumsha256=abc,opt=versionID=v",
            "s3",
            s3("b", "k", ChecksumSHA256="abc", VersionID="v"),
            "/inputs",
        ),
        ("s3://b/k,opt=checksum_256=abc,opt==x", "s3", s3("b", "k", ChecksumSHA256="abc"), "/inputs"),
        ("ipfs://QmXyZ:/c", "ipfs", {"CID": "QmXyZ"}, "/c"),
        ("ipfs://QmXyZ/a%20b/c.txt:/c", "ipfs", {"CID": "QmXyZ/a b/c.txt"}, "/c"),
        ("ipfs://QmXyZ/", "ipfs", {"CID": "QmXyZ"}, "/inputs"),
        ("ipfs://QmXyZ:/c,opt=read-timeout=30s", "ipfs", {"CID": "QmXyZ", "ReadTimeout": "30s"}, "/c"),
        ("job://j-12ab:/c", "job", {"Job": "j-12ab"}, "/c"),
        ("job://My-Job/out/a%20b/", "job", {"Job": "My-Job", "Path": "out/a b"}, "/inputs"),
        ("job://name:/c,opt=wait=true", "job", {"Job": "name", "Wait": True}, "/c"),
        ("job://name,opt=wait=false", "job", {"Job": "name", "Wait": False}, "/inputs"),
        ("https://example.org/f.csv", "urlDownload", {"URL": "https://example.org/f.csv"}, "/inputs"),
        ("https://h:9000/f", "urlDownload", {"URL": "https://h:9000/f"}, "/inputs"),
        ("https://h:9000/f?a=b:/u", "urlDownload", {"URL": "https://h:9000/f?a=b"}, "/u"),
        ("http://h/", "urlDownload", {"URL": "http://h/"}, "/inputs"),
        ("file:///etc/config:/config", "local", {"SourcePath": "/etc/config", "ReadWrite": False}, "/config"),
        ("file:///d,opt=rw=true", "local", {"SourcePath": "/d", "ReadWrite": True}, "/inputs"),
        ("file:///d,opt=read-only=true", "local", {"SourcePath": "/d", "ReadWrite": False}, "/inputs"),
        ("file:///d,opt=ro=false", "local", {"SourcePath": "/d", "ReadWrite": True}, "/inputs"),
    ],
)
def test_forms(text, kind, params, target):
    found = parse_input(text)
    assert (found.source.type, found.source.params, found.target) == (kind, params, target)


def test_the_alias_is_the_source_as_typed():
    assert parse_input(TUTORIAL + ":/inputs,opt=region=us-east-1").alias == TUTORIAL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "storage is empty"),
        ("foo", "unknown storage schema: none in 'foo'"),
        ("foo://bar", "unknown storage schema: foo"),
        ("gopher://bar:/x", "unknown storage schema: gopher"),
        ("git://h/r.git", "unsupported type: git"),
        ("s3://b/k,region=x", "unexpected key region in field region=x"),
        ("s3://b/k,/in", "invalid storage option: /in. Must be a key=value pair"),
        ("s3://b/p/,opt=pattern=x", "option pattern needs a partition type"),
        (
            "s3://b/p/,opt=partition=substring,opt=end-index=x",
            "option end-index must be a whole number from 0, not 'x'",
        ),
        ("s3://b,opt=manifest=/nowhere/keys", "manifest /nowhere/keys cannot be read: No such file or directory"),
        ("s3://b/k,opt=nope=1", 'unknown option "nope" for storage s3'),
        ("s3://b/k,opt=Region=1", 'unknown option "Region" for storage s3'),
        ("ipfs://Qm,opt=a=b", 'unknown option "a" for storage ipfs'),
        ("s3:///key", "invalid s3 storage params: bucket cannot be empty"),
        ("s3://b/k?x", "s3://b/k?x has a '?', which would end the path"),
        ("s3://b/50%", "s3://b/50% has a % that is not followed by two hexadecimal digits"),
        ("ipfs://", "invalid ipfs params. cid cannot be empty"),
        ("job://", "invalid job storage params: job cannot be empty"),
        ("job://a,opt=wait=maybe", "failed to parse wait option: 'maybe' is neither true nor false"),
        ("job://a,opt=reuse=1", 'unknown option "reuse" for storage job'),
        ("http://h", "invalid url storage params: URL must end with a file name: http://h"),
        ("http://h:80", "invalid url storage params: URL must end with a file name: http://h:80"),
        ("file://rel/x", "local path must be absolute: file://rel/x"),
        ("file:///x,opt=rw=maybe", "failed to parse read-write option: 'maybe' is neither true nor false"),
        ('"s3://b/k', "cannot read '\"s3://b/k' as comma-separated values: unexpected end of data"),
        ("s3://b/k,dst=", "input source is missing a target: s3://b/k,dst="),
    ],
)
def test_refusals(text, message):
    with pytest.raises(BadRequest) as caught:
        parse_input(text)
    assert caught.value.message == message


def test_a_refusal_says_what_to_do():
    with pytest.raises(BadRequest) as caught:
        parse_input("s3://b/k,opt=nope=1")
    assert "endpoint, region, filter" in caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        parse_input(text)
    except BadRequest as e:
        assert e.message


@given(st.from_regex(r"[a-z0-9.-]{3,20}", fullmatch=True), st.from_regex(r"[A-Za-z0-9=:/_.-]{1,30}\*?", fullmatch=True))
def test_keys_of_any_shape_come_through(bucket, key):
    found = parse_input(f"s3://{bucket}/{key}:/in")
    assert (found.source.params["Bucket"], found.source.params["Key"], found.target) == (bucket, key.lstrip("/"), "/in")


def test_a_list_of_keys_on_the_clients_disk_goes_into_the_job(tmp_path):
    path = tmp_path / "keys"
    path.write_text("a/b\r\n\ns3://b/c \n")
    assert parse_input(f"s3://b,opt=manifest={path}").source.params == s3("b", "", Keys=["a/b", "s3://b/c "])
    for content, said in (("k\n" * 10_001, "more than 10,000 lines"), ("x" * 1_048_577, "or 1.0 MB"), ("\n", "no key")):
        path.write_text(content)
        with pytest.raises(BadRequest, match=said):
            parse_input(f"s3://b,opt=manifest={path}")
    path.write_bytes(b"\xff")
    with pytest.raises(BadRequest, match="cannot be read: it is not UTF-8"):
        parse_input(f"s3://b,opt=manifest={path}")
