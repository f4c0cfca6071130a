"""Our signatures are botocore's, header by header."""

from datetime import datetime
from types import SimpleNamespace

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as some

from bacalhau.plugins.s3.place import Place
from bacalhau.plugins.s3.signature import sign

NOW = datetime(2024, 3, 15, 14, 30, 1)
PLACES = [
    Place("bucket"),
    Place("Dotted.Name"),
    Place("b", "", "http://127.0.0.1:9000"),
    Place("b", "", "https://s3.example:443/base/"),
    Place("b", "", "http://h:80"),
]


@pytest.fixture(scope="module", autouse=True)
def frozen_clock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
        yield


def botocore_headers(credentials: ReadOnlyCredentials, region: str, method: str, url: str, headers: dict[str, str]) -> dict[str, str]:
    request = AWSRequest(method, url, headers={name: value for name, value in headers.items() if name.startswith("x-amz-")})
    request.context["client_config"] = SimpleNamespace(s3={"payload_signing_enabled": False})
    botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    place=some.sampled_from(PLACES),
    key=some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=30),
    prefix=some.text(some.characters(exclude_categories=["Cs"]), max_size=10),
    region=some.sampled_from(["us-east-1", "cn-north-1"]),
    token=some.sampled_from([None, "token/+="]),
)
def test_any_request(place, key, prefix, region, token):
    credentials = ReadOnlyCredentials("AKIAEXAMPLE", "secret/+key", token)
    url = place.url(key, (("prefix", prefix), ("list-type", "2"), ("uploads", "")), region)
    headers = {"x-amz-checksum-mode": "ENABLED", "If-Match": '"etag"', "Range": "bytes=0-1"}
    ours = sign(credentials, region, "GET", url, headers, NOW)
    assert headers.items() <= ours.items()
    covered = {name.lower(): value for name, value in ours.items() if name not in ("If-Match", "Range")}
    assert covered == botocore_headers(credentials, region, "GET", url, headers)
