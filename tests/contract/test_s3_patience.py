"""A store that is away, overloaded or breaks off: what it holds is brought, what it is given is stored, and no parts
are left there.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from bacalhau.lib.errors import PublisherFailure, StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.managed import ManagedBucket, S3ManagedPublisher
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.contract.test_s3_source import read_tree
from tests.support.faulty import FaultyProxy, breaks, loses_answer, refuses

pytestmark = pytest.mark.usefixtures("credentials")
LONG = Patience(seconds=3600, attempts=0, first=0.001, longest=0.002)
NONE = LONG._replace(seconds=0)  # what fails without progress is final
MB = 1 << 20


@pytest.fixture
async def proxy(s3):
    async with FaultyProxy(s3.url).listen() as made:
        yield made


def is_complete(request) -> bool:
    return request.method == "POST" and "uploadId" in request.query


class Publishing:
    """A result in a bucket behind the proxy, published once more with each call."""

    def __init__(self, proxy: FaultyProxy, bucket: str, folder: Path, size: int) -> None:
        self.tree = folder / "result"
        self.tree.mkdir(parents=True)
        (self.tree / "stdout").write_bytes(os.urandom(size))
        self._spec = SpecConfig(type="s3", params={"bucket": bucket, "key": "r/{executionID}", "endpoint": proxy.url})
        self.notes: list[str] = []

    async def publish(self, patience: Patience = LONG, report=None) -> SpecConfig:
        def note(step) -> None:
            self.notes.append(step.note)

        publisher = S3Publisher(patience=patience)
        try:
            return await publisher.publish(Result(self.tree, self._spec, "j", "e", "n", 0), report or note)
        finally:
            await publisher.close()

    async def fetch(self, published: SpecConfig, into: Path, patience: Patience = LONG) -> None:
        await S3Downloader("http://127.0.0.1:1234", patience).download(published, into, ignore)
        assert read_tree(into) == read_tree(self.tree)


@pytest.fixture(params=[1000, 12 * MB], ids=["one request", "in parts"])
def publishing(request, proxy, bucket, tmp_path) -> Publishing:
    return Publishing(proxy, bucket, tmp_path / "execution", request.param)


@pytest.fixture
def in_parts(proxy, bucket, tmp_path) -> Publishing:
    return Publishing(proxy, bucket, tmp_path / "execution", 12 * MB)


def uploads(s3, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.boto.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


async def test_a_store_that_is_away_while_a_result_is_published(proxy, s3, bucket, publishing, tmp_path):
    """Every kind of request meets it, and is waited with."""
    left = dict.fromkeys(("PUT", "POST", "HEAD", "GET"), 10)

    def away(request):
        left[request.method] -= 1
        return refuses(503, "ServiceUnavailable") if left[request.method] >= 0 else None

    proxy.choose = away
    published = await publishing.publish()
    assert "the store answers 503 ServiceUnavailable, again in 1 s" in publishing.notes
    assert uploads(s3, bucket) == []
    await publishing.fetch(published, tmp_path / "got")


async def test_a_store_that_stays_away_ends_publishing_and_says_how_often_it_was_tried(proxy, publishing):
    proxy.choose = lambda request: refuses(503, "SlowDown")
    with pytest.raises(PublisherFailure, match=r"SlowDown: because \(gave up after 4 attempts\)") as raised:
        await publishing.publish(NONE._replace(attempts=3))
    assert not raised.value.retryable


@pytest.mark.parametrize("share", [0.05, 0.4])
async def test_objects_of_which_some_requests_are_refused(proxy, s3, bucket, tmp_path, share):
    chances = random.Random(7)
    objects = {f"d/{number}": f"{number}".encode() * 50 for number in range(300)}
    s3.fill(bucket, objects)
    proxy.choose = lambda request: refuses(503, "SlowDown") if chances.random() < share else None
    source = S3Source(patience=LONG)
    notes = set()
    manifest = await source.resolve(SpecConfig(type="s3", params={"Bucket": bucket, "Endpoint": proxy.url}))
    await source.fetch(manifest, tmp_path, lambda step: notes.add(step.note))
    await source.close()
    assert read_tree(tmp_path) == objects
    assert "the store answers 503 SlowDown, again in 1 s" in notes
    served = [request.path for request in proxy.requests]
    assert len(served) < 300 / (1 - share) * 1.5


@pytest.mark.parametrize("size", [300_000, 9 * MB, 66 * MB])
async def test_bodies_that_break_off_again_and_again(proxy, s3, bucket, tmp_path, size):
    """They are gone on with from where they broke, pinned to the object that was listed."""
    body = random.Random(1).randbytes(size)
    s3.fill(bucket, {"k": body})
    proxy.choose = lambda request: breaks(size // 10) if request.method == "GET" else None
    source = S3Source(patience=NONE)
    manifest = await source.resolve(SpecConfig(type="s3", params={"Bucket": bucket, "Key": "k", "Endpoint": proxy.url}))
    steps = []
    await source.fetch(manifest, tmp_path, steps.append)
    await source.close()
    assert (tmp_path / "k").read_bytes() == body
    assert (steps[-1].done, steps[-1].bytes_done) == (1, size)
    gets = [request for request in proxy.requests if request.method == "GET"]
    assert len(gets) <= 18
    assert {request.headers["If-Match"] for request in gets} == {manifest.entries[0].etag}


async def test_an_object_that_changes_while_it_breaks_off_is_not_mixed(proxy, s3, bucket, tmp_path):
    s3.fill(bucket, {"k": b"x" * 3 * MB})

    def change(request):
        if request.headers.get("Range"):
            s3.boto.put_object(Bucket=bucket, Key="k", Body=b"y" * 3 * MB)
        return breaks(MB) if request.method == "GET" else None

    proxy.choose = change
    source = S3Source(patience=NONE)
    manifest = await source.resolve(SpecConfig(type="s3", params={"Bucket": bucket, "Key": "k", "Endpoint": proxy.url}))
    with pytest.raises(StorageFailure, match="changed after it was listed"):
        await source.fetch(manifest, tmp_path, ignore)
    await source.close()
    assert read_tree(tmp_path) == {}


async def test_a_download_that_breaks_off_again_and_again(proxy, in_parts, tmp_path):
    published = await in_parts.publish()
    proxy.choose = lambda request: breaks(MB) if request.method == "GET" else None
    await in_parts.fetch(published, tmp_path / "got", NONE)


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
async def test_an_error_behind_success_is_tried_again(proxy, s3, bucket, in_parts, tmp_path, code):
    left = [1] * 20
    proxy.choose = lambda request: refuses(200, code) if is_complete(request) and left and left.pop() else None
    await in_parts.fetch(await in_parts.publish(), tmp_path / "got")
    assert uploads(s3, bucket) == []


async def test_an_error_behind_success_that_stays_leaves_no_parts(proxy, s3, bucket, in_parts):
    proxy.choose = lambda request: refuses(200, "InvalidRequest") if is_complete(request) else None
    with pytest.raises(PublisherFailure, match="InvalidRequest: because"):
        await in_parts.publish()
    assert uploads(s3, bucket) == []


async def test_a_lost_answer_to_the_last_request_is_found_out(proxy, s3, bucket, in_parts, tmp_path):
    """The server did it; asked again it knows no such upload, and the object itself tells."""
    lost = []
    proxy.choose = lambda request: loses_answer if is_complete(request) and not lost and not lost.append(1) else None
    published = await in_parts.publish()
    assert len(lost) == 1
    await in_parts.fetch(published, tmp_path / "got")
    assert uploads(s3, bucket) == []


async def test_lost_parts_are_no_result(proxy, s3, bucket, in_parts):
    """What stands there under the key is an older result, not this one."""
    s3.fill(bucket, {"r/e.tar.gz": b"older"})

    def lose(request):
        if is_complete(request):
            s3.boto.abort_multipart_upload(Bucket=bucket, Key="r/e.tar.gz", UploadId=request.query["uploadId"])
        return None

    proxy.choose = lose
    with pytest.raises(PublisherFailure, match=r"the parts of object r/e.tar.gz .* were lost") as raised:
        await in_parts.publish()
    assert raised.value.retryable


async def test_what_could_not_be_aborted_is_when_the_result_is_published_again(proxy, s3, bucket, in_parts, tmp_path):
    """So it is with what a process left that was killed: the record stands beside the result."""
    proxy.choose = lambda request: (
        refuses(403, "AccessDenied") if is_complete(request) or request.method == "DELETE" else None
    )
    with pytest.raises(PublisherFailure, match="access denied"):
        await in_parts.publish()
    assert uploads(s3, bucket) == ["r/e.tar.gz"]
    proxy.choose = lambda request: None
    await in_parts.fetch(await in_parts.publish(), tmp_path / "got")
    assert uploads(s3, bucket) == []
    assert [path.name for path in in_parts.tree.parent.iterdir()] == ["result"]


async def test_a_stop_ends_the_waiting_and_leaves_no_parts(proxy, s3, bucket, in_parts):
    waits = asyncio.Event()
    proxy.choose = lambda request: refuses(503, "SlowDown") if is_complete(request) else None
    hours = Patience(seconds=3600, first=3600, longest=3600)
    task = asyncio.ensure_future(in_parts.publish(hours, lambda step: waits.set() if step.note else None))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert uploads(s3, bucket) == []


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([503] * 20, 20), ([403], 1), ([403, 403], None), ([400], None)],
    ids=["away", "an old link", "not allowed", "refused"],
)
async def test_a_result_that_goes_by_a_signed_link(proxy, s3, bucket, in_parts, answers, expected):
    left = list(answers)
    proxy.choose = lambda request: refuses(left.pop(0), "Because") if left else None
    place = ManagedBucket(bucket, "us-east-1", proxy.url, "r", 600)
    publisher = S3ManagedPublisher(place.sign_upload, LONG)
    result = Result(in_parts.tree, SpecConfig(type="s3managed"), "j", "e", "n", 0)
    if expected is None:
        with pytest.raises(PublisherFailure, match=f"refused the result: {answers[0]}") as raised:
            await publisher.publish(result, ignore)
        assert not raised.value.retryable
    else:
        await publisher.publish(result, ignore)
        assert [each["Key"] for each in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]] == ["r/j/e.tar.gz"]
    assert len(proxy.requests) == len(answers) + (expected is not None)
