"""The flags of outputs, environment, labels, networks and publishers."""

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import ResultPath
from bacalhau.models.text.grammar import parse_env, parse_label, parse_network, parse_output, split_csv
from bacalhau.plugins.uris import parse_publisher


@pytest.mark.parametrize(
    ("text", "kind", "params"),
    [
        ("ipfs", "ipfs", None),
        ("IPFS", "ipfs", None),
        ("ipfs://", "ipfs", None),
        ("estuary", "ipfs", None),
        ("s3://results/result-{date}-{jobID}", "s3", {"bucket": "results", "key": "result-{date}-{jobID}"}),
        (
            "s3://b/k,opt=endpoint=http://h:1,opt=region=r",
            "s3",
            {"bucket": "b", "key": "k", "endpoint": "http://h:1", "region": "r"},
        ),
        ("s3,opt=bucket=b,opt=key=k", "s3", {"bucket": "b", "key": "k"}),
        ("s3://b/k,opt=key=other", "s3", {"bucket": "b", "key": "other"}),
        (
            "target=s3://b/k,opt=compress=true,opt=encoding=plain",
            "s3",
            {"bucket": "b", "key": "k", "compress": "true", "encoding": "plain"},
        ),
    ],
)
def test_publishers(text, kind, params):
    found = parse_publisher(text)
    assert (found.type, found.params) == (kind, params)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_publisher, "gopher://x", "unknown publisher type: gopher"),
        (parse_publisher, "ftp://x", "unknown publisher type: ftp"),
        (parse_publisher, "local,opt=a=b", 'unknown option "a" for publisher local'),
        (parse_publisher, "s3managed,opt=bucket=b", 'unknown option "bucket" for publisher s3managed'),
        (parse_publisher, "s3://", "invalid s3 params. bucket cannot be empty"),
        (parse_publisher, "s3:///key", "invalid s3 params. bucket cannot be empty"),
        (parse_publisher, "s3://bucket", "invalid s3 params. key cannot be empty"),
        (
            parse_publisher,
            "s3://b/k,opt=encoding=zip",
            "invalid s3 params. encoding must be either 'plain' or 'gzip', not 'zip'",
        ),
        (
            parse_publisher,
            "s3://b/k,opt=compress=maybe",
            "failed to parse compress option: 'maybe' is neither true nor false",
        ),
        (parse_publisher, "s3://b/k,opt=acl=x", 'unknown option "acl" for publisher s3'),
        (parse_publisher, "ipfs,opt=a=b", 'unknown option "a" for publisher ipfs'),
        (parse_publisher, "s3://b/k,region=x", "invalid publisher option: region=x"),
        (parse_publisher, "s3://b/k,x", "invalid publisher option: x. Must be a key=value pair"),
        (parse_publisher, "", "publisher is empty"),
        (parse_output, "x", "invalid output volume: x"),
        (parse_output, "a:b:c", "invalid output volume: a:b:c"),
        (parse_output, "a:", "invalid output volume: a:"),
        (parse_output, "a:b", "invalid output volume: a:b: result path `b` must be absolute"),
        (parse_env, "A", "A must be formatted as key=value"),
        (parse_env, "A=1,B=2,C", "C must be formatted as key=value"),
        (parse_network, "zzz", "models.Network: unknown type 'zzz'"),
    ],
)
def test_refusals(parse, text, message):
    with pytest.raises(BadRequest) as caught:
        parse(text)
    assert caught.value.message == message


def test_outputs():
    assert parse_output("outputs:/outputs") == ResultPath(name="outputs", path="/outputs")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=x", {"A": "x"}),
        ("A=x,y", {"A": "x,y"}),
        ("A=1,B=2", {"A": "1", "B": "2"}),
        ('"A=x,y",B=1', {"A": "x,y", "B": "1"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=", {"A": ""}),
    ],
)
def test_environment(text, found):
    assert parse_env(text) == found


def test_labels():
    assert parse_label("a,b=c,example.org/x=1.2-3") == {"a": "", "b": "c", "example.org/x": "1.2-3"}


@pytest.mark.parametrize("text", ["a b", "-a", "a=b c", "UPPER.org/x", "/x", "x" * 64, "k=" + "v" * 64])
def test_bad_labels_are_named(text):
    with pytest.raises(BadRequest) as caught:
        parse_label(text)
    assert caught.value.message.startswith("received invalid job labels: ")
    assert text.partition("=")[0] in caught.value.message or text.partition("=")[2] in caught.value.message


def test_networks_in_any_case():
    assert [parse_network(text).value for text in ("http", "NONE", "Full")] == ["HTTP", "None", "Full"]


def test_csv():
    assert split_csv('a,"b,c",""') == ["a", "b,c", ""]
    assert split_csv("") == []
