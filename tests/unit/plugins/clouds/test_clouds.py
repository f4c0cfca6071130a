"""Google Cloud Storage and Azure in flags and job files, and the credentials that go to a place."""

import pytest

from bacalhau.lib.errors import BadRequest, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.azure import cloud as azure
from bacalhau.plugins.azure.environment import find, read_environment
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.failure import Scene, translate
from bacalhau.plugins.clouds.params import Place
from bacalhau.plugins.gcs import cloud as gcs
from bacalhau.plugins.loading import import_target
from bacalhau.plugins.registry import own_plugins
from bacalhau.plugins.uris import parse_input, parse_publisher
from tests.support.clouds import clear_clouds


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    clear_clouds(monkeypatch)
    monkeypatch.setattr("bacalhau.plugins.azure.environment.METADATA.looked", (1 << 62, False))
    monkeypatch.setattr("bacalhau.plugins.gcs.cloud.METADATA.looked", (1 << 62, False))


def test_inputs_and_publishers_of_the_command_line():
    read = parse_input("gs://b/a%20b/*:/in,opt=filter=x,opt=anonymous=true,opt=include=*.nc,opt=endpoint=http://h:1")
    wanted = {"Bucket": "b", "Key": "a b/*", "Filter": "x", "Anonymous": True, "Endpoint": "http://h:1"}
    assert read.source == SpecConfig(type="gcs", params=wanted | {"Include": ["*.nc"]})
    assert read.target == "/in"
    assert parse_input("az://c/k,opt=account=acc").source.params == {"Container": "c", "Key": "k", "Account": "acc"}
    published = parse_publisher("gs://b/r/{jobID},opt=encoding=plain,opt=overwrite=true")
    assert published == SpecConfig(
        type="gcs", params={"Bucket": "b", "Key": "r/{jobID}", "Encoding": "plain", "Overwrite": True}
    )
    assert parse_publisher("azure,opt=container=c,opt=key=k").params == {"Container": "c", "Key": "k"}


@pytest.mark.parametrize(
    ("options", "params"),
    [
        ("opt=partition=regex,opt=pattern=(a)", {"Partition": {"Type": "regex", "Pattern": "(a)"}}),
        ("opt=bytes-per-partition=1Gb", {"Partition": {"Type": "bytes", "BytesPerPartition": "1Gb"}}),
        ("opt=writable=true,opt=checksum-sha256=x", {"Writable": True, "ChecksumSHA256": "x"}),
    ],
)
@pytest.mark.parametrize(("scheme", "word"), [("gs", "Bucket"), ("az", "Container")])
def test_inputs_are_shared_out_and_kept_as_those_of_s3(scheme, word, options, params):
    read = parse_input(f"{scheme}://bbb/d/*,{options}").source
    assert read.params == {word: "bbb", "Key": "d/*"} | params
    offer = own_plugins().sources[read.kind].part
    assert import_target(offer.divide)(read) == (1_000_000_000 if "BytesPerPartition" in str(params) else 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("az://c/k,opt=pattern=x", "option pattern needs a partition type"),
        ("gs:///k", "bucket cannot be empty"),
        ("gs://b/k,opt=account=a", 'unknown option "account" for storage gcs'),
        ("gs://b/k,opt=anonymous=maybe", "anonymous"),
    ],
)
def test_inputs_that_nobody_can_read(text, said):
    with pytest.raises(BadRequest, match=said):
        parse_input(text)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "bucket cannot be empty"),
        ({"Bucket": "No Bucket"}, "bucket 'No Bucket' is not the name of a bucket: lower-case letters"),
        ({"Bucket": "bbb", "Endpoint": "ftp://x"}, "endpoint 'ftp://x' is not a URL: write it as https://host"),
        ({"Bucket": "bbb", "Account": "abc"}, "account 'abc' is nothing that Google Cloud Storage has: leave it out"),
        ({"Bucket": "bbb", "Key": "k", "Filter": "x"}, "filter needs a prefix, and key 'k' is one object: end the key"),
        ({"Bucket": "bbb", "Filter": "("}, "filter '(' is an invalid regex pattern"),
        ({"Bucket": "bbb", "MinSize": "x"}, "min size 'x' cannot be read: write a number of bytes"),
        ({"Bucket": "bbb", "Key": "k", "ChecksumSHA256": "x"}, "checksumSHA256 'x' is no SHA-256: write it as base64"),
        ({"Bucket": "bbb", "ChecksumSHA256": "00" * 32}, "checksumSHA256 needs one object, and key '' is a prefix"),
        ({"Bucket": "bbb", "Partition": {"Type": "odd"}}, "unsupported partition type 'odd': use none"),
    ],
)
def test_each_wrong_parameter_is_one_problem_with_its_cure(params, said):
    problems = gcs.check_source(SpecConfig(type="gcs", params=params))
    assert len(problems) == 1
    assert problems[0].startswith(f"invalid gcs storage params: {said}")


def test_publishers_are_checked():
    good = SpecConfig(type="azure", params={"Container": "ccc", "Key": "r/{jobID}", "Account": "acc"})
    assert not azure.check_publisher(good)
    bad = SpecConfig(type="azure", params={"Container": "ccc", "Key": "r/{job}", "Account": "A!", "Encoding": "zip"})
    assert [problem.split(" ")[3] for problem in azure.check_publisher(bad)] == ["account", "unknown", "encoding"]


def test_a_partition_needs_a_job_that_is_divided():
    spec = SpecConfig(type="gcs", params={"Bucket": "bbb", "Partition": {"Type": "bytes"}})
    assert not gcs.check_source(spec)
    assert "needs a job that is divided by its Count" in gcs.check_whole(spec)[0]


CONNECTION = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;EndpointSuffix=core.example.net"


def test_a_connection_string_names_account_key_and_endpoint(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION)
    known = read_environment()
    assert (known.account, known.key, known.endpoint) == ("acc", "a2V5==", "https://acc.blob.core.example.net")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "other")
    assert read_environment().account == "other"


@pytest.mark.parametrize("name", ["AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"])
def test_credentials_of_an_account_go_to_no_other(monkeypatch, name):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "mine")
    monkeypatch.setenv(name, "secret")
    place, identity = find(Place("ccc"))
    assert (place.account, place.is_anonymous) == ("mine", False)
    assert "secret" in identity.config.values()
    place, identity = find(Place("ccc", account="other"))
    assert (place.account, place.is_anonymous, dict(identity.config)) == ("other", True, {})
    place, identity = find(Place("ccc", is_anonymous=True))
    assert place.is_anonymous
    assert not identity.config


def test_a_container_of_no_account_says_how_to_name_it():
    with pytest.raises(StorageFailure, match="azure: container ccc is of no account") as raised:
        find(Place("ccc"))
    assert "opt=account=NAME" in raised.value.hint


def test_only_listed_endpoints_and_the_machines_own_are_asked(monkeypatch):
    trusted = Endpoints("K", ("https://Listed.example/",))
    assert trusted.refusal(gcs.GCS, Place("b", "https://listed.example")) == ("", "")
    assert trusted.refusal(gcs.GCS, Place("b")) == ("", "")
    said, cure = trusted.refusal(gcs.GCS, Place("b", "https://evil.example"))
    assert said == "endpoint https://evil.example is not one that this machine trusts"
    assert cure.startswith("list it in K, or set GOOGLE_BASE_URL")
    monkeypatch.setenv("GOOGLE_BASE_URL", "https://evil.example/")
    assert trusted.refusal(gcs.GCS, Place("b", "https://evil.example")) == ("", "")


def test_signatures_in_the_texts_of_the_library_are_not_repeated():
    scene = Scene(azure.AZURE, Place("ccc", "http://h:1"), "k", "a signature of account acc")
    for status in ("403 Forbidden", "404 Not Found", "418 Teapot", "503 Busy", "412 Changed"):
        url = "http://h:1/ccc/k?sv=2020&sig=SECRET"
        text = f"Error performing GET {url} in 2ms - Server returned non-2xx status code: {status}: <Code>No</Code>"
        made = translate(scene, ValueError(text + "\n\nDebug source:\n" + url))
        assert "SECRET" not in made.message + made.hint
    lost = translate(scene, ValueError(f"Error performing GET {url} in 2ms - HTTP error: error sending request"))
    assert "SECRET" not in lost.message
