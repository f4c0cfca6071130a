"""The bucket for managed results: all of it, or none."""

import pytest

from bacalhau.config.plugins import S3Managed
from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.s3.managed import managed_bucket


def test_all_or_none():
    assert managed_bucket(S3Managed()) is None
    bucket = managed_bucket(S3Managed(bucket="b", region="eu", key="p", endpoint="http://h"))
    assert bucket == ("b", "eu", "http://h", "p", 3600)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"bucket": "b"}, "Region"),
        ({"key": "k"}, "Bucket and Region"),
        ({"bucket": "b", "region": "r", "pre_signed_url_expiration": 0.0}, "PreSignedURLExpiration of at least 1s"),
    ],
)
def test_a_part_is_refused(given, missing):
    with pytest.raises(BadRequest, match=f"Publishers.Types.S3Managed needs {missing}"):
        managed_bucket(S3Managed(**given))
