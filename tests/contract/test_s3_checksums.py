"""Stores that refuse headers of checksums, as Backblaze B2: SeaweedFS behind a server that answers like them.

Everything works without, each server refuses once, and the SHA-256 is recorded all the same.
"""

import io
import os
from base64 import b64encode
from hashlib import sha256

import aiohttp
import pytest
import yarl
from aiohttp import web

from bacalhau.lib.errors import PublisherFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.contract.test_s3_faults import error
from tests.contract.test_s3_source import read_tree, spec, stage
from tests.support.answering import Server, listening
from tests.support.s3 import S3

pytestmark = pytest.mark.usefixtures("credentials")
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"
ANSWERS = {
    "B2": (400, "InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm' received for this API call."),
    "not implemented": (501, "NotImplemented", "A header you provided implies functionality that is not implemented."),
    "in its own words": (400, "InvalidRequest", "what is this?"),
}


class Refusing(Server):
    """Hands requests on to a store, but none that speaks of checksums, in a header, a trailer or a body."""

    def __init__(self, store: str, answer: tuple[int, str, str], methods: str) -> None:
        super().__init__()
        self._store, self._answer, self._methods = store, answer, methods.split()
        self.refused = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        body = await request.read()
        if request.method in self._methods and self._is_strange(request, body):
            self.refused += 1
            status, code, message = self._answer
            return web.Response(status=status, text=ERROR.format(code, message))
        # The signature covers the host that was asked.
        async with aiohttp.request(
            request.method,
            yarl.URL(self._store + request.raw_path, encoded=True),
            headers=request.headers,
            data=io.BytesIO(body),
        ) as answer:
            kept = {
                n: v for n, v in answer.headers.items() if n.lower() not in ("transfer-encoding", "content-encoding")
            }
            if request.method == "HEAD":
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                return response
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    def _is_strange(self, request: web.Request, body: bytes) -> bool:
        names = [name.lower() for name in request.headers]
        return (
            any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer")) for name in names)
            or "aws-chunked" in request.headers.get("Content-Encoding", "")
            or b"<Checksum" in body
        )


@pytest.fixture(params=["GET HEAD PUT POST", "PUT POST"])
def methods(request):
    return request.param


@pytest.fixture(params=ANSWERS.values(), ids=list(ANSWERS))
async def store(s3, request, methods):
    async with listening(Refusing(s3.url, request.param, methods)) as made:
        yield made


async def test_inputs_are_read_and_the_refusal_is_learned(s3, store, methods, bucket, source, tmp_path):
    objects = {f"a/{n}": bytes([n]) * 100 for n in range(20)} | {"a/large": os.urandom(3 << 20)}
    s3.fill(bucket, objects)
    there = S3(store.url, None)
    for key in ("a/1", "a/"):
        (tmp_path / key.strip("/").replace("/", "-")).mkdir()
    assert await stage(source, spec(there, bucket, "a/1"), tmp_path / "a-1") == {"1": objects["a/1"]}
    assert store.refused == ("GET" in methods)
    got = await stage(source, spec(there, bucket, "a/"), tmp_path / "a")
    assert got == {key.removeprefix("a/"): body for key, body in objects.items()}
    assert store.refused == ("GET" in methods)


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
@pytest.mark.parametrize("size", [100, 12 << 20])
async def test_results_are_published_with_their_digest(s3, store, bucket, publisher, tmp_path, encoding, size):
    tree = tmp_path / "tree"
    (tree / "outputs").mkdir(parents=True)
    (tree / "outputs" / "file").write_bytes(os.urandom(size))
    (tree / "stdout").write_text("said")
    place = {"bucket": bucket, "key": "r", "endpoint": store.url, "encoding": encoding}
    for _ in range(2):
        refused = store.refused
        published = await publisher.publish(Result(tree, SpecConfig("s3", place), "j", "e", "n", 0), ignore)
    assert 0 < refused == store.refused  # the second time nothing was tried in vain
    await S3Downloader("http://127.0.0.1:1").download(published, tmp_path / "got", ignore)
    assert read_tree(tmp_path / "got") == read_tree(tree)
    if encoding == "gzip":
        body = s3.boto.get_object(Bucket=bucket, Key="r.tar.gz")["Body"].read()
        assert published.params["ChecksumSHA256"] == b64encode(sha256(body).digest()).decode()
    else:
        digest = s3.boto.head_object(Bucket=bucket, Key="r/outputs/file")["Metadata"]["bacalhau-sha256"]
        assert digest == b64encode(sha256((tree / "outputs" / "file").read_bytes()).digest()).decode()


async def test_a_digest_that_does_not_fit_is_no_reason_to_leave_it_out(publisher, tmp_path):
    (tmp_path / "stdout").write_text("said")
    async with listening(Server()) as server:
        server.answers = [error(400, "BadDigest")]
        place = {"bucket": "b", "key": "r", "endpoint": server.url}
        with pytest.raises(PublisherFailure, match="BadDigest"):
            await publisher.publish(Result(tmp_path, SpecConfig("s3", place), "j", "e", "n", 0), ignore)
    assert all("x-amz-checksum-sha256" in each.headers for each in server.requests)


async def test_another_refusal_is_told_and_teaches_nothing(publisher, tmp_path):
    (tmp_path / "stdout").write_text("said")
    async with listening(Server()) as server:
        server.answers = [error(400, "KeyTooLongError")]
        place = {"bucket": "b", "key": "r", "endpoint": server.url}
        for _ in range(2):
            with pytest.raises(PublisherFailure, match="KeyTooLongError"):
                await publisher.publish(Result(tmp_path, SpecConfig("s3", place), "j", "e", "n", 0), ignore)
    assert ["x-amz-checksum-sha256" in each.headers for each in server.requests] == [True, False] * 2
