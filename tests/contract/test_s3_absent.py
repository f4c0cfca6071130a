"""A bucket that does not exist is refused in the same words on all ways and by the servers of all makers, also by those
that create buckets by themselves.
"""

import pytest

from bacalhau.lib.errors import StorageFailure
from tests.contract.test_s3_source import list_all, spec

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.mark.parametrize(
    ("key", "params"),
    [
        ("k", {}),
        ("k*", {}),
        ("", {}),
        ("", {"AllowEmpty": True}),
        ("a*/b", {"AllowEmpty": True}),
        ("", {"Keys": ["k"], "AllowEmpty": True}),
        ("", {"Manifest": "s3://nosuch-bucket/keys", "AllowEmpty": True}),
    ],
)
async def test_a_bucket_that_does_not_exist(store, source, key, params):
    wanted = spec(store, "nosuch-bucket", key, **params)
    for ask in (source.resolve, lambda each: list_all(source, each)):
        with pytest.raises(StorageFailure, match="s3: bucket nosuch-bucket does not exist"):
            await ask(wanted)
