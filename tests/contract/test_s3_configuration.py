"""The AWS configuration of a machine, as files and variables of a real one: which server is asked, how, and with whose
keys.
"""

import pytest

from bacalhau.config.schema import Config
from bacalhau.lib.errors import PublisherFailure, StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.bucket import find_bucket
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.managed import managed_bucket
from bacalhau.plugins.s3.reported import check_result
from bacalhau.plugins.s3.settings import current_settings, read_settings
from bacalhau.plugins.s3.sign import make_part
from bacalhau.plugins.s3.uri import read_input, read_publisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Published, Result
from tests.contract.test_s3_source import read_tree, spec, stage
from tests.support.answering import Server, listening, says
from tests.support.s3 import ACCESS_KEY, SECRET_KEY

pytestmark = pytest.mark.usefixtures("no_credentials")
NOWHERE = "http://127.0.0.1:1"
KEYS = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Write `~/.aws/config`, choose its profile `store`, and set variables."""

    def write(text: str, **variables: str) -> None:
        config = tmp_path / "aws-config"
        config.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "store")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return write


@pytest.fixture
async def server():
    async with listening(Server()) as made:
        made.answers = [says(404)]
        yield made


PROFILE = "[profile store]\n" + KEYS + "endpoint_url = {url}\n"
SERVICES = "[profile store]\n" + KEYS + "services = here\n[services here]\ns3 =\n  endpoint_url = {url}\n"
BOTH = (
    "[profile store]\n"
    + KEYS
    + f"endpoint_url = {NOWHERE}\nservices = a\n[services a]\ns3 =\n  endpoint_url = {{url}}\n"
)


@pytest.mark.parametrize(
    ("config", "variables"),
    [
        (PROFILE, {}),
        (SERVICES, {}),
        (BOTH, {}),
        (PROFILE.replace("{url}", NOWHERE), {"AWS_ENDPOINT_URL": "{url}"}),
        (SERVICES.replace("{url}", NOWHERE), {"AWS_ENDPOINT_URL_S3": "{url}", "AWS_ENDPOINT_URL": NOWHERE}),
    ],
)
async def test_inputs_and_results_are_at_the_configured_endpoint(
    s3, bucket, source, publisher, configure, tmp_path, config, variables
):
    s3.fill(bucket, {"k": b"v"})
    configure(config.format(url=s3.url), **{name: value.format(url=s3.url) for name, value in variables.items()})
    (tmp_path / "in").mkdir()
    assert await stage(source, read_input(f"s3://{bucket}/k", {}), tmp_path / "in") == {"k": b"v"}

    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "stdout").write_text("said")
    wanted = read_publisher(f"s3://{bucket}/r", {})
    published = await publisher.publish(Result(tmp_path / "tree", wanted, "j", "e", "n", 0), ignore)
    assert published.params["Endpoint"] == s3.url
    report = Published(published, wanted, "j", "e", "n")
    assert check_result(report) == []
    signed = await make_part(Config()).presign(report)
    assert signed.params["PreSignedURL"].startswith(f"{s3.url}/{bucket}/r.tar.gz?")
    for n, result in enumerate((published, signed)):
        await S3Downloader("http://127.0.0.1:1234").download(result, tmp_path / f"got-{n}", ignore)
        assert read_tree(tmp_path / f"got-{n}") == {"stdout": b"said"}


async def test_the_endpoint_of_a_job_comes_first(s3, bucket, source, configure, tmp_path):
    s3.fill(bucket, {"k": b"v"})
    configure("[profile store]\n" + KEYS, AWS_ENDPOINT_URL=NOWHERE, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    (tmp_path / "in").mkdir()
    assert await stage(source, spec(s3, bucket, "k"), tmp_path / "in") == {"k": b"v"}


@pytest.mark.parametrize("text", [PROFILE, SERVICES])
async def test_ignored_endpoints_are_those_of_aws(configure, text):
    configure(text.format(url=NOWHERE), AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="TRUE")
    address = find_bucket(await current_settings(), "bucket", "", "")
    assert address.url("k", (), "eu-west-1") == "https://bucket.s3.eu-west-1.amazonaws.com/k"


@pytest.mark.parametrize("text", [PROFILE, SERVICES])
async def test_keys_go_only_to_the_endpoint_that_they_are_for(configure, server, source, publisher, tmp_path, text):
    configure(text.format(url=NOWHERE))
    said = rf"access denied to bucket b without credentials \(those of this machine are for {NOWHERE} alone\)"
    server.answers = [says(403)]
    with pytest.raises(StorageFailure, match=said):
        await source.resolve(read_input("s3://b/k", {"endpoint": server.url}))
    wanted = read_publisher("s3://b/k", {"endpoint": server.url})
    with pytest.raises(PublisherFailure, match=said):
        await publisher.publish(Result(tmp_path, wanted, "j", "e", "n", 0), ignore)
    assert len(server.requests) >= 2 and not any("Authorization" in each.headers for each in server.requests)
    result = SpecConfig(type="s3", params={"Bucket": "b", "Key": "k.tar.gz", "Endpoint": server.url})
    assert await make_part(Config()).presign(Published(result, wanted, "j", "e", "n")) == result


async def test_the_configured_endpoint_in_another_spelling_is_the_same(configure, server, source):
    configure(PROFILE.format(url=server.url))
    spelt = server.url.replace("http", "HTTP") + "/"
    with pytest.raises(StorageFailure, match="no object k"):
        await source.resolve(read_input("s3://b/k", {"endpoint": spelt}))
    assert all("Authorization" in each.headers for each in server.requests)


async def test_managed_results_are_signed_for_the_endpoint_of_the_administrator(configure):
    configure(PROFILE.format(url=NOWHERE))
    wanted = Config().publishers.types.s3_managed
    for endpoint in ("", "http://other"):
        bucket = managed_bucket(type(wanted)(bucket="b", region="eu", endpoint=endpoint))
        assert (await bucket.sign_upload("j", "e")).startswith(f"{endpoint or NOWHERE}/b/j/e.tar.gz?")


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ("", "https://box.s3.eu-west-1.amazonaws.com/k"),
        ("s3 =\n  addressing_style = path", "https://s3.eu-west-1.amazonaws.com/box/k"),
        ("use_fips_endpoint = true", "https://box.s3-fips.eu-west-1.amazonaws.com/k"),
        ("use_dualstack_endpoint = true", "https://box.s3.dualstack.eu-west-1.amazonaws.com/k"),
        (
            "use_fips_endpoint = true\ns3 =\n  use_dualstack_endpoint = true\n  addressing_style = path",
            "https://s3-fips.dualstack.eu-west-1.amazonaws.com/box/k",
        ),
        ("endpoint_url = https://h:9/", "https://h:9/box/k"),
        ("endpoint_url = https://h:9/\ns3 =\n  addressing_style = virtual", "https://box.h:9/k"),
        ("endpoint_url = http://[::1]:9\ns3 =\n  addressing_style = virtual", "http://[::1]:9/box/k"),
        ("region = cn-north-1", "https://box.s3.cn-north-1.amazonaws.com.cn/k"),
    ],
)
def test_hosts_and_paths(configure, config, url):
    configure(f"[profile store]\nregion = eu-west-1\n{config}\n".replace("region = eu-west-1\nregion", "region"))
    settings = read_settings()
    assert find_bucket(settings, "box", "", "").url("k", (), settings.region) == url
    named = find_bucket(settings, "box", "", "http://theirs")
    assert named.url("k", (), "") == "http://theirs/box/k"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            "s3 =\n  addressing_style = sideways",
            "addressing_style is 'sideways', and must be one of auto, path, virtual",
        ),
        ("request_checksum_calculation = never", "request_checksum_calculation is 'never', and must be one of when_"),
        ("endpoint_url = minio:9000", "the endpoint of S3 is 'minio:9000': write it as https://host"),
        ("services = gone", 'services section "gone"|gone'),
    ],
)
async def test_a_wrong_value_is_named(configure, source, config, said):
    configure(f"[profile store]\n{config}\n")
    with pytest.raises(StorageFailure, match=said):
        await source.resolve(read_input("s3://b/k", {}))


async def test_a_result_comes_by_its_link_where_the_configuration_is_broken(server, configure, tmp_path):
    configure("[default]\n")
    params = {"SourceSpec": {"Bucket": "b", "Key": "k.tar.gz"}, "PreSignedURL": server.url + "/b/k.tar.gz?signed"}
    with pytest.raises(StorageFailure, match=r"no object k\.tar\.gz in bucket b"):
        await S3Downloader("http://127.0.0.1:1").download(SpecConfig("s3PreSigned", params), tmp_path, ignore)
    assert len(server.requests) == 1


async def test_requests_that_the_requester_pays(server, source, publisher, configure, tmp_path):
    configure("[profile store]\n" + KEYS)
    options = {"endpoint": server.url, "requester-pays": "true"}
    with pytest.raises(StorageFailure):
        await source.resolve(read_input("s3://b/k", options))
    server.answers = [says(200, ETag='"one"')]
    wanted = read_publisher("s3://b/k", options)
    (tmp_path / "stdout").touch()
    published = await publisher.publish(Result(tmp_path, wanted, "j", "e", "n", 0), ignore)
    assert {each.headers["x-amz-request-payer"] for each in server.requests} == {"requester"}
    assert all("x-amz-request-payer" in each.headers["Authorization"] for each in server.requests)
    signed = await make_part(Config()).presign(Published(published, wanted, "j", "e", "n"))
    assert "x-amz-request-payer=requester" in signed.params["PreSignedURL"]
    assert signed.params["SourceSpec"]["RequesterPays"] is True


async def test_checksums_only_where_they_are_required(server, source, publisher, configure, tmp_path):
    lines = "request_checksum_calculation = when_required\nresponse_checksum_validation = when_required\n"
    configure("[profile store]\n" + KEYS + lines)
    with pytest.raises(StorageFailure):
        await source.resolve(read_input("s3://b/k", {"endpoint": server.url}))
    server.answers = [says(200, ETag='"one"')]
    wanted = read_publisher("s3://b/k", {"endpoint": server.url})
    (tmp_path / "stdout").touch()
    published = await publisher.publish(Result(tmp_path, wanted, "j", "e", "n", 0), ignore)
    sent = {name.lower() for each in server.requests for name in each.headers}
    assert not any(name.startswith("x-amz-checksum") for name in sent)
    assert published.params["ChecksumSHA256"] and "x-amz-meta-bacalhau-sha256" in sent
