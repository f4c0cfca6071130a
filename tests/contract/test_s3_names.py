"""Keys and sizes of strangers, on SeaweedFS and on servers that mean harm: all of a bucket comes to the folder, or the
error says which object can be no file.
"""

import os

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau.border.names import path_fault
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore
from tests.contract.test_s3_source import read_tree, spec, stage
from tests.support.answering import says
from tests.support.s3 import S3

pytestmark = pytest.mark.usefixtures("credentials")
NAMES = ["a", "b", ".", "..", "", "...", " ", "\t", "\n", "\x1b[2J", "ä" * 127, "ä" * 128, "x" * 255, "x" * 256, "a b"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join), min_size=1, max_size=4))
async def test_any_keys_become_files_or_an_error(s3: S3, tmp_path_factory, keys):
    bucket, folder = s3.new_bucket(), tmp_path_factory.mktemp("keys")
    for key in keys - {""}:
        try:
            s3.boto.put_object(Bucket=bucket, Key=key, Body=key.encode())
        except s3.boto.exceptions.ClientError:
            continue  # the server takes no such key
    listed = s3.boto.list_objects_v2(Bucket=bucket).get("Contents", ())
    names = [each["Key"] for each in listed if not each["Key"].endswith("/")]  # a server may fold slashes
    source, into = S3Source(), folder / "in"
    into.mkdir()
    try:
        got = await stage(source, spec(s3, bucket, "", AllowEmpty=True), into)
    except StorageFailure as e:
        assert any(word in e.message for word in ("can be no file", "would both become", "cannot be both a file"))
        assert os.listdir(into) == []
    else:
        held = [s3.boto.get_object(Bucket=bucket, Key=key)["Body"].read() for key in names]
        assert sorted(got.values()) == sorted(held)
        assert not any(map(path_fault, got)) and os.listdir(folder) == ["in"]
    finally:
        await source.close()


def listing(*objects: tuple[str, object]) -> str:
    found = "".join(f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>" for key, size in objects)
    return f"<ListBucketResult><IsTruncated>true</IsTruncated>{found}"


@pytest.fixture
async def source():
    made = S3Source(most_objects=100)
    yield made
    await made.close()


def at(server, key="", **params):
    return spec(S3(server.url, None), "b", key, **params)


async def test_a_listing_that_never_ends_is_refused(server, source):
    async def page(request):
        n = len(server.requests)
        body = listing(*((f"{n}-{i}", 1) for i in range(40))) + f"<NextContinuationToken>{n}</NextContinuationToken>"
        return await says(200, body + "</ListBucketResult>")(request)

    server.answers = [page]
    with pytest.raises(StorageFailure, match="more than 100 objects match '' in bucket b"):
        await source.resolve(at(server))
    assert len(server.requests) == 4


@pytest.mark.parametrize("size", ["-1", "", "x", "9" * 5000, "1e3"])
async def test_a_size_that_is_none_is_not_known(server, source, size):
    server.answers = [says(200, listing(("k", size)) + "</ListBucketResult>")]
    assert [entry.size for entry in (await source.resolve(at(server))).entries] == [-1]


@pytest.mark.parametrize("size", [0, 3, 2 << 20])
async def test_an_object_longer_than_it_is_listed_does_not_fill_the_node(server, source, tmp_path, size):
    sent = 0

    async def without_end(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 200 << 20:
            await response.write(bytes(1 << 20))
            sent += 1 << 20
        return response

    server.answers = [says(200, listing(("k", size)) + "</ListBucketResult>"), without_end]
    manifest = await source.resolve(at(server))
    with pytest.raises(StorageFailure, match=r"is longer than the .* bytes that were announced"):
        await source.fetch(manifest, tmp_path, ignore)
    assert sent < 100 << 20 and read_tree(tmp_path) == {}
