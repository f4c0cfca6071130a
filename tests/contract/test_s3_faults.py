"""How requests survive what servers and networks do: stumbles, wrong regions, broken streams, ignored ranges."""

import asyncio
import datetime
import hashlib
import ipaddress
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bacalhau.border.addresses import Reach
from bacalhau.lib.aio import together
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.bucket import BucketAddress, find_bucket
from bacalhau.plugins.s3.client import Request, S3Client, read_all
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.fetch import Origin, fetch_entries
from bacalhau.plugins.s3.operation import head, list_objects, put
from bacalhau.plugins.s3.settings import read_settings
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Entry
from tests.support.answering import Handler, Server, listening, says

pytestmark = pytest.mark.usefixtures("credentials")
FEW = Patience(seconds=0, attempts=4, first=0.001)


@pytest.fixture
async def client():
    made = S3Client(patience=FEW)
    yield made
    await made.aclose()


def error(status: int, code: str, extra: str = "") -> Handler:
    return says(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>because</Message>{extra}</Error>")


def breaks_after(body: bytes, length: int) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(length)})
        await response.prepare(request)
        await response.write(body)
        request.transport.close()
        return response

    return answer


def serves(body: bytes) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        wanted = request.http_range
        part = body[wanted]
        headers = {"x-amz-checksum-sha256": b64encode(hashlib.sha256(body).digest()).decode()}
        return web.Response(status=206 if "Range" in request.headers else 200, body=part, headers=headers)

    return answer


async def get(client: S3Client, server: Server, region: str = "") -> bytes:
    return (await client.call(Request(BucketAddress("b", region, server.url), "GET", "k"), read_all)).body


@pytest.mark.parametrize(
    "stumble",
    [
        error(503, "SlowDown"),
        error(500, "InternalError"),
        says(429),
        says(502),
        error(400, "RequestTimeout"),
        breaks_after(b"12", 5),
    ],
)
async def test_stumbles_are_tried_again(client, server, stumble):
    server.answers = [stumble, stumble, says(200, "hello")]
    assert await get(client, server) == b"hello"
    assert len(server.requests) == 3


async def test_a_server_that_stays_down_is_named_and_retryable(client, server):
    server.answers = [error(503, "SlowDown")]
    with pytest.raises(StorageFailure, match="s3: object k in bucket b: SlowDown: because") as raised:
        await get(client, server)
    assert raised.value.retryable
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
        says(301, x_amz_bucket_region="eu-central-1"),
        says(307, x_amz_bucket_region="eu-central-1", Location="http://127.0.0.1:1/"),
    ],
)
async def test_a_wrong_region_heals_itself_and_is_remembered(client, server, wrong):
    server.answers = [wrong, says(200, "hello")]
    assert await get(client, server) == b"hello"
    assert "/us-east-1/" in server.requests[0].headers["Authorization"]
    assert "/eu-central-1/" in server.requests[1].headers["Authorization"]
    assert await get(client, server, region="us-west-2") == b"hello"
    assert "/eu-central-1/" in server.requests[2].headers["Authorization"]
    assert await client.region_of(BucketAddress("b", "", server.url)) == "eu-central-1"


async def test_a_region_that_never_heals_ends(client, server):
    server.answers = [
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-1</Region>"),
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-2</Region>"),
    ]
    with pytest.raises(StorageFailure, match="AuthorizationHeaderMalformed"):
        await get(client, server)
    assert len(server.requests) == 2


async def test_a_refused_signature_is_tried_without_and_remembered(client, server):
    server.answers = [error(403, "AccessDenied"), says(200, "hello")]
    assert await get(client, server) == b"hello"
    assert await get(client, server) == b"hello"
    assert ["Authorization" in request.headers for request in server.requests] == [True, False, False]


async def test_a_refusal_holds_for_the_credentials_that_were_refused(client, server, monkeypatch):
    """Other credentials are tried again: nobody should be read as anybody until the next restart."""
    server.answers = [error(403, "AccessDenied"), says(200, "hello")]
    assert await get(client, server) == b"hello"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    assert await get(client, server) == b"hello"
    assert ["Authorization" in request.headers for request in server.requests] == [True, False, True]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (error(403, "AccessDenied"), "s3: access denied to bucket b as AKIA…TKEY for k"),
        (error(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong"),
        (error(404, "NoSuchBucket"), "s3: bucket b does not exist"),
        (error(404, "NoSuchKey"), "s3: no object k in bucket b"),
        (error(412, "PreconditionFailed"), "changed after it was listed"),
        (error(418, "Teapot"), "s3: object k in bucket b: Teapot: because"),
    ],
)
async def test_what_a_refusal_becomes(client, server, answer, message):
    server.answers = [answer]
    with pytest.raises(StorageFailure, match=message):
        await get(client, server)


@pytest.mark.parametrize(
    "body", ["<html><body>Welcome to nginx</body></html>", '{"service": "Welcome to nginx"}', "", "<a>Welcome to nginx"]
)
async def test_a_listing_of_something_that_is_not_s3_shows_its_first_words(client, server, body):
    server.answers = [says(200, body)]
    with pytest.raises(StorageFailure, match="answered something that is not S3") as raised:
        [each async for each in list_objects(client, BucketAddress("b", endpoint=server.url), "", 10)]
    assert ("Welcome to nginx" in raised.value.message) == bool(body)


@pytest.mark.parametrize("bad", ["a\x01b", "a&#1;b", "a&b"])
async def test_a_key_that_makes_a_listing_unreadable_is_named(client, server, bad):
    rows = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in ("good", bad))
    server.answers = [says(200, f"<ListBucketResult>{rows}</ListBucketResult>")]
    with pytest.raises(StorageFailure) as raised:
        [each async for each in list_objects(client, BucketAddress("b", endpoint=server.url), "", 10)]
    assert raised.value.message == f"s3: {server.url} lists key {bad!r} of bucket b in a form that is no XML"
    assert "longer prefix" in raised.value.hint


async def test_an_answer_that_opens_keys_and_closes_none_is_read_once(client, server):
    """A pattern that looked for the end of each would take minutes, in which the node does nothing else."""
    server.answers = [says(200, "<ListBucketResult>" + "<Key>" * 1_000_000)]
    with pytest.raises(StorageFailure, match="answered something that is not S3"):
        [each async for each in list_objects(client, BucketAddress("b", endpoint=server.url), "", 10)]


@pytest.mark.parametrize("headers", [{}, {"ETag": '"one"', "Last_Modified": "Thu, 26 Nov 2026 10:00:00 GMT"}])
async def test_a_page_at_the_endpoint_is_not_taken_for_the_object(client, server, headers):
    """Programs for the web say yes to a HEAD of anything; some have an ETag for their page."""
    server.answers = [says(200, "<html><body>Welcome to nginx</body></html>", Content_Type="text/html", **headers)]
    for _ in range(2):
        with pytest.raises(StorageFailure, match="something that is not S3: '<html><body>Welcome to nginx"):
            await head(client, BucketAddress("b", endpoint=server.url), "k")


@pytest.mark.parametrize(
    "listed", [says(200, "<ListBucketResult/>"), says(403, "<Error><Code>AccessDenied</Code></Error>"), says(501)]
)
async def test_a_server_without_headers_of_s3_is_asked_once_whether_it_is_one(client, server, listed):

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (listed if request.method == "GET" else says(200, ETag='"one"'))(request)

    server.answers = [answer]
    for _ in range(3):
        assert (await head(client, BucketAddress("b", endpoint=server.url), "k")).etag == '"one"'
    methods = [each.method for each in server.requests]
    assert methods[:2] == ["HEAD", "GET"] and methods[-2:] == ["HEAD", "HEAD"]


async def test_nothing_counts_as_stored_where_something_else_answers(client, server):
    server.answers = [says(200, "<html>Welcome to nginx</html>")]
    address = BucketAddress("b", endpoint=server.url)
    with pytest.raises(StorageFailure, match="something that is not S3: '<html>Welcome to nginx"):
        await put(client, Request(address, "PUT", "k", body=b"body"), "digest")


async def test_something_that_is_not_s3(server):
    server.answers = [says(200, "<html>hello")]
    downloader = S3Downloader("http://127.0.0.1:1234", FEW)
    with pytest.raises(StorageFailure, match="answered something that is not S3"):
        await downloader.download(
            SpecConfig(type="s3", params={"Bucket": "b", "Key": "p/", "Endpoint": server.url}),
            Path("/nonexistent"),
            ignore,
        )


async def test_a_range_answered_with_everything_is_taken_as_one_stream(client, server, tmp_path):
    body = bytes(range(256)) * (65 << 12)

    async def whole(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    server.answers = [whole]
    entry = Entry("k", "k", len(body), checksum=b64encode(hashlib.sha256(body).digest()).decode())
    await fetch_entries(Origin(client, BucketAddress("b", "", server.url), patience=FEW), (entry,), tmp_path, ignore)
    assert (tmp_path / "k").read_bytes() == body


async def test_a_range_that_breaks_is_fetched_again(client, server, tmp_path):
    body = bytes(range(256)) * (65 << 12)

    async def breaks_in_range(request: web.Request) -> web.StreamResponse:
        part = body[request.http_range]
        response = web.StreamResponse(status=206, headers={"Content-Length": str(len(part))})
        await response.prepare(request)
        await response.write(part[: 5 << 20])
        request.transport.close()
        return response

    server.answers = [breaks_in_range, breaks_in_range, breaks_in_range, serves(body)]
    steps = []
    entry = Entry("k", "k", len(body), '"etag"', "v1")
    await fetch_entries(
        Origin(client, BucketAddress("b", "", server.url), patience=FEW), (entry,), tmp_path, steps.append
    )
    assert (tmp_path / "k").read_bytes() == body
    assert (steps[-1].bytes_done, steps[-1].done) == (len(body), 1)
    assert {(request.headers["If-Match"], request.query["versionId"]) for request in server.requests} == {
        ('"etag"', "v1")
    }


@pytest.mark.parametrize("size", [3 << 20, 100 << 20])
async def test_a_fetch_can_be_given_up(client, server, tmp_path, size):
    first = asyncio.Event()

    async def never_ends(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=206, headers={"Content-Length": str(min(size, 32 << 20))})
        await response.prepare(request)
        await response.write(bytes(1 << 20))
        first.set()
        await asyncio.Event().wait()
        return response

    server.answers = [never_ends]
    fetch = fetch_entries(
        Origin(client, BucketAddress("b", "", server.url), patience=FEW), (Entry("k", "k", size),), tmp_path, ignore
    )
    with pytest.raises(InterruptedError):
        await together(fetch, interrupt(first))
    assert list(tmp_path.iterdir()) == []
    client.bulk._threads.shutdown(wait=True)  # would hang if a thread still waited for the server


async def interrupt(after: asyncio.Event) -> None:
    await after.wait()
    raise InterruptedError


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A self-signed one for 127.0.0.1, key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_encrypted_connections_trust_the_given_authority(client, certificate, tmp_path, monkeypatch):
    body = bytes(range(256)) * (65 << 12)
    server = Server()
    server.answers = [serves(body)]
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(certificate)
    async with listening(server, trust):
        address = BucketAddress("b", "", server.url)
        with pytest.raises(StorageFailure, match="cannot reach S3 at https://127"):
            await client.call(Request(address, "GET", "k"), read_all)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        trusting = S3Client()
        await fetch_entries(Origin(trusting, address), (Entry("k", "large", len(body)),), tmp_path / "got", ignore)
        assert await trusting.call(Request(address, "GET", "k"), lambda response: response.content.read()) == body
        await trusting.aclose()
    assert (tmp_path / "got" / "large").read_bytes() == body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_an_endpoint_of_a_job_obeys_the_rule_of_addresses(server, tmp_path, monkeypatch, host):
    """One of the administrator does not; and no byte of a request reaches what is refused."""
    body = bytes(65 << 20)
    server.answers = [serves(body)]
    closed = S3Client(Reach())
    named = BucketAddress("b", "", server.url.replace("127.0.0.1", host))
    for request in (Request(named, "GET", "k"), Request(named, "HEAD", "k"), Request(named, "PUT", "k", body=b"x")):
        with pytest.raises(StorageFailure, match=r"s3: endpoint .* may not be used here: .* belongs to the node"):
            await closed.call(request, read_all)
    with pytest.raises(StorageFailure, match="may not be used here"):
        await fetch_entries(Origin(closed, named), (Entry("k", "large", len(body)),), tmp_path / "got", ignore)
    assert server.requests == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    ours = find_bucket(read_settings(), "b", "", "")
    await fetch_entries(Origin(closed, ours), (Entry("k", "large", len(body)),), tmp_path / "got", ignore)
    await closed.aclose()


@pytest.mark.parametrize("size", [100, 3 << 20])
async def test_a_stream_that_breaks_starts_again(client, server, tmp_path, size):
    body = b"x" * size
    server.answers = [breaks_after(body[: size // 2], size), serves(body)]
    entry = Entry("k", "deep/er/k", size)
    steps = []
    await fetch_entries(
        Origin(client, BucketAddress("b", "", server.url), patience=FEW), (entry,), tmp_path, steps.append
    )
    assert (tmp_path / "deep/er/k").read_bytes() == body
    assert (steps[-1].bytes_done, steps[-1].done) == (size, 1)


@pytest.mark.parametrize("size", [100, 3 << 20])
async def test_bytes_that_do_not_match_the_servers_digest_are_not_kept(client, server, tmp_path, size):
    async def lies(request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=b"y" * size,
            headers={"x-amz-checksum-sha256": b64encode(hashlib.sha256(b"x" * size).digest()).decode()},
        )

    server.answers = [lies]
    with pytest.raises(StorageFailure, match="checksum mismatch for s3://b/k"):
        await fetch_entries(
            Origin(client, BucketAddress("b", "", server.url), patience=FEW), (Entry("k", "k", size),), tmp_path, ignore
        )
    assert list(tmp_path.iterdir()) == []


async def test_a_broken_download_goes_on_where_it_was(server, tmp_path):
    body = (Path(__file__).read_bytes() * 3000)[: 16 << 20]
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    server.answers = [breaks_after(body[: 12 << 20], len(body)), serves(body)]
    downloader = S3Downloader("http://127.0.0.1:1234", FEW)
    params = {
        "SourceSpec": {"Bucket": "b", "Key": "k.tar.gz", "ChecksumSHA256": digest},
        "PreSignedURL": server.url + "/b/k.tar.gz?signed",
    }
    with pytest.raises(StorageFailure, match="is damaged"):
        await downloader.download(SpecConfig(type="s3PreSigned", params=params), tmp_path, ignore)
    first, second = server.requests
    assert "Range" not in first.headers
    assert int(second.headers["Range"].removeprefix("bytes=").removesuffix("-")) > 0
    assert "Authorization" not in server.requests[0].headers


async def test_a_download_that_never_comes_further_ends(server, tmp_path):
    server.answers = [breaks_after(b"x" * 1000, 5000)]
    params = {"SourceSpec": {"Bucket": "", "Key": "k.tar.gz"}, "PreSignedURL": server.url + "/b/k.tar.gz?signed"}
    brief = Patience(seconds=0.3, attempts=1, first=0.001, longest=0.01)
    async with asyncio.timeout(30):
        with pytest.raises(StorageFailure):
            await S3Downloader(server.url, brief).download(
                SpecConfig(type="s3PreSigned", params=params), tmp_path, ignore
            )


async def test_a_server_that_answers_an_error_with_nonsense_is_told_in_a_line(server, client):
    """The answer to HEAD names no reason, so it is asked again by GET, whose answer may be anything."""

    async def nonsense(request: web.Request) -> web.StreamResponse:
        request.transport.write((b"HTTP/1.1 418 x\r\n\r\n" if request.method == "HEAD" else b"") + b"no HTTP" * 3000)
        request.transport.close()
        return web.Response()

    server.answers = [nonsense]
    address = BucketAddress("b", "", server.url)
    for method in ("HEAD", "GET"):
        with pytest.raises(StorageFailure) as failed:
            await client.call(Request(address, method, "k"), read_all)
        assert len(failed.value.message) < 400 and "\n" not in failed.value.message


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_server_that_sends_its_clients_on_is_not_followed_and_named(client, server, method, status):
    server.answers = [says(status, Location="https://user:secret@elsewhere.example:9/b/k")]
    with pytest.raises(StorageFailure) as raised:
        await client.call(Request(BucketAddress("b", "", server.url), method, "k"), read_all)
    assert raised.value.message == f"s3: {server.url} sends its clients on to https://elsewhere.example:9"
    assert "endpoint" in raised.value.hint and not raised.value.retryable
