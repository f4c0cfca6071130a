"""Signatures: those that botocore makes of the same request at the same time."""

from types import SimpleNamespace

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.plugins.s3.ambient import Ambient
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.signature import presigned_url, signed_headers

UNSIGNED = SimpleNamespace(s3={"payload_signing_enabled": False})
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
WORDS = st.text("abcXYZ019-_. +/", min_size=1, max_size=12)
IDENTITIES = st.builds(
    lambda secret, token: Ambient(ReadOnlyCredentials("AKIATEST", secret, token)), WORDS, st.none() | WORDS
)
ENDPOINTS = st.sampled_from(
    (
        "",
        "http://127.0.0.1:8333",
        "http://[::1]:9000",
        "https://s3.example.org",
        "https://Host.example.org:443",
        "http://h:80/base",
    )
)
QUERIES = st.dictionaries(WORDS, TEXTS, max_size=4).map(lambda found: tuple(found.items()))
HEADERS = st.dictionaries(
    st.text("abc-", min_size=1).map("x-amz-".__add__), st.text("abc  /=é", min_size=1), max_size=3
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    address = BucketAddress("bucket", "", draw(ENDPOINTS))
    return address.url(draw(TEXTS), draw(QUERIES), "eu-west-1")


@given(IDENTITIES, addresses(), HEADERS, st.sampled_from(("GET", "PUT", "HEAD", "POST", "DELETE")))
def test_a_request_is_signed_as_botocore_signs_it(identity, url, headers, method):
    request = AWSRequest(method, url, headers=headers)
    request.context["client_config"] = UNSIGNED
    S3SigV4Auth(identity.credentials, "s3", "eu-west-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}

    ours = signed_headers(identity, "eu-west-1", method, url, headers, theirs["x-amz-date"])

    assert {name.lower(): value for name, value in ours.items()} == theirs


@given(IDENTITIES, addresses(), st.integers(1, 604800), st.sampled_from(("GET", "PUT")))
def test_a_link_is_signed_as_botocore_signs_it(identity, url, seconds, method):
    request = AWSRequest(method, url)
    S3SigV4QueryAuth(identity.credentials, "s3", "eu-west-1", seconds).add_auth(request)
    stamp = request.url.partition("X-Amz-Date=")[2][:16]

    ours = presigned_url(identity, "eu-west-1", url, seconds, method, stamp)

    assert ours.rpartition("=")[2] == request.url.rpartition("=")[2]


def test_without_credentials_nothing_is_signed():
    assert signed_headers(Ambient(), "us-east-1", "GET", "http://127.0.0.1/b", {"Range": "bytes=0-"}) == {
        "Range": "bytes=0-"
    }
