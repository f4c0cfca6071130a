"""Google Cloud Storage and Azure as the home of results, and their way back to the client."""

import hashlib
import os
from pathlib import Path

import pytest

from bacalhau.lib.errors import Conflict, PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.patience import Patience
from bacalhau.models.execution.proof import Written
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.clouds.checks import check_result
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.download import CloudDownloader
from bacalhau.plugins.clouds.publisher import CloudPublisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Published, Result, always_allowed
from tests.support.answering import Server, listening, says
from tests.support.caching import tree
from tests.support.clouds import CloudServer, clear_clouds
from tests.support.faulty import FaultyProxy, breaks, refuses
from tests.support.reads import opened_below

BRIEF = Patience(seconds=5.0, unheard=0.0, attempts=3, first=0.01, longest=0.02)
FILES = {"stdout": b"out", "exitCode": b"0", "outputs/a b.txt": b"1", "outputs/sub/large": os.urandom(9 << 20)}


@pytest.fixture
async def publisher(cloud: CloudServer):
    made = CloudPublisher(cloud.cloud, Endpoints("Publishers.AllowedEndpoints"), patience=BRIEF)
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result as a node has it."""
    made = tmp_path / "execution" / "result"
    for name, body in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(body)
    return made


def result(cloud: CloudServer, bucket: str, folder: Path, key: str = "r/{jobID}", **params: object) -> Result:
    return Result(folder, cloud.spec(bucket, key, **params), "j-1", "e-1", "n-1", 0)


async def fetch(cloud: CloudServer, found: SpecConfig, into: Path, only: str = "") -> dict[str, bytes]:
    await CloudDownloader(cloud.cloud, BRIEF).download(found, into, ignore, only)
    return tree(into)


@pytest.mark.parametrize(("encoding", "key"), [("gzip", "r/j-1.tar.gz"), ("plain", "r/j-1/"), ("", "r/j-1.tar.gz")])
async def test_a_result_comes_back_as_it_was(cloud, publisher, folder, tmp_path, encoding, key):
    box = cloud.new_bucket()
    wanted = result(cloud, box, folder, Encoding=encoding)
    await publisher.check()
    found = await publisher.publish(wanted, ignore)
    assert await publisher.publish(wanted, ignore) == found or encoding != "plain"
    assert found.params["Key"] == key
    assert sorted(cloud.read(box)) == ([key] if not key.endswith("/") else sorted(key + name for name in FILES))
    assert not check_result(cloud.cloud, Published(found, wanted.publisher, "j-1", "e-1", "n-1"))
    assert await fetch(cloud, found, tmp_path / "got") == FILES
    assert await fetch(cloud, found, tmp_path / "part", "outputs/sub") == {
        "outputs/sub/large": FILES["outputs/sub/large"]
    }
    (tmp_path / "got" / "stdout").write_bytes(b"bad")
    assert await fetch(cloud, found, tmp_path / "got") == FILES


async def test_a_result_of_another_execution_or_bucket_is_none_of_this(cloud, publisher, folder):
    box = cloud.new_bucket()
    wanted = result(cloud, box, folder, "r/{executionID}")
    found = await publisher.publish(wanted, ignore)
    said = check_result(cloud.cloud, Published(found, wanted.publisher, "j-1", "e-2", "n-1"))
    assert said == ["key 'r/e-1.tar.gz' is not that of the execution"]
    other = cloud.spec("otherbucket", "r/{executionID}")
    said = check_result(cloud.cloud, Published(found, other, "j-1", "e-1", "n-1"))
    assert said == [f"{cloud.cloud.word} {box} is not the job's, {cloud.cloud.word} otherbucket"]


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_nothing_can_be_seen_of_what_may_not_be_published(cloud, publisher, folder, encoding):
    async def refuse() -> None:
        raise Conflict("another attempt may publish")

    box = cloud.new_bucket()
    with pytest.raises(Conflict):
        await publisher.publish(result(cloud, box, folder, Encoding=encoding)._replace(confirm=refuse), ignore)
    assert cloud.read(box) == {}


async def test_a_damaged_archive_is_refused(cloud, publisher, folder, tmp_path):
    box = cloud.new_bucket()
    found = await publisher.publish(result(cloud, box, folder), ignore)
    cloud.put(box, "r/j-1.tar.gz", b"other")
    with pytest.raises(StorageFailure, match=r"checksum mismatch for object r/j-1\.tar\.gz"):
        await fetch(cloud, found, tmp_path / "got")


async def test_a_node_without_credentials_says_that_it_cannot_publish(cloud, publisher, monkeypatch):
    clear_clouds(monkeypatch)
    with pytest.raises(Unavailable, match=f"no credentials for {cloud.cloud.title} on this node") as raised:
        await publisher.check()
    assert cloud.cloud.cure == raised.value.hint


async def test_a_client_asks_no_endpoint_but_its_own(cloud, publisher, folder, tmp_path, monkeypatch):
    box = cloud.new_bucket()
    found = await publisher.publish(result(cloud, box, folder, Endpoint=cloud.url), ignore)
    monkeypatch.delenv(cloud.cloud.endpoint_variable)
    with pytest.raises(StorageFailure, match="is not one that this machine trusts") as raised:
        await fetch(cloud, found, tmp_path / "got")
    assert f"set {cloud.cloud.endpoint_variable}" in raised.value.hint


async def test_a_client_without_credentials_is_told_which(cloud, publisher, folder, tmp_path, monkeypatch):
    box = cloud.new_bucket()
    found = await publisher.publish(result(cloud, box, folder), ignore)
    clear_clouds(monkeypatch)
    async with FaultyProxy(cloud.server).listen() as proxy:
        monkeypatch.setenv(cloud.cloud.endpoint_variable, proxy.url + cloud.path)
        proxy.choose = lambda request: None if "Authorization" in request.headers else refuses(403, "AccessDenied")
        with pytest.raises(StorageFailure, match="without credentials") as raised:
            await fetch(cloud, found, tmp_path / "got")
    assert cloud.cloud.cure in raised.value.hint


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_a_store_that_is_away_for_a_while_is_waited_for(
    cloud, publisher, folder, tmp_path, monkeypatch, encoding
):
    box = cloud.new_bucket()
    async with FaultyProxy(cloud.server).listen() as proxy:
        monkeypatch.setenv(cloud.cloud.endpoint_variable, proxy.url + cloud.path)
        faults = iter([refuses(503, "SlowDown"), None, refuses(500, "InternalError")])
        proxy.choose = lambda request: next(faults, None)
        found = await publisher.publish(result(cloud, box, folder, Encoding=encoding), ignore)
        breaking = iter([None, breaks(1 << 20), refuses(503, "SlowDown")])
        proxy.choose = lambda request: next(breaking, None)
        assert await fetch(cloud, found, tmp_path / "got") == FILES


async def test_a_name_that_can_be_no_key_is_told(cloud, publisher, folder):
    (folder / "outputs" / "bad\nname").write_bytes(b"")
    with pytest.raises(PublisherFailure, match=f"cannot be a key of {cloud.cloud.title}: .* has control characters"):
        await publisher.publish(result(cloud, cloud.new_bucket(), folder, Encoding="plain"), ignore)


async def test_a_bucket_that_does_not_exist_takes_nothing(cloud, publisher, folder):
    with pytest.raises(PublisherFailure, match=f"{cloud.cloud.word} nowhereatall .*does not exist"):
        await publisher.publish(result(cloud, "nowhereatall", folder)._replace(confirm=always_allowed), ignore)


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_nothing_counts_as_published_where_something_else_answers(
    cloud, publisher, folder, monkeypatch, encoding
):
    async with listening(Server()) as server:
        server.answers = [says(200, "<html>Welcome to nginx</html>", Content_Type="text/html")]
        monkeypatch.setenv(cloud.cloud.endpoint_variable, server.url)
        with pytest.raises(PublisherFailure, match=r"does not speak as .* does: '<html>Welcome to nginx"):
            await publisher.publish(result(cloud, "somebucket", folder, Encoding=encoding), ignore)


async def test_the_files_of_an_archive_are_hashed_as_they_go(
    cloud: CloudServer, publisher: CloudPublisher, folder: Path
) -> None:
    written = Written()
    with opened_below(folder) as opened:
        wanted = result(cloud, cloud.new_bucket(), folder)._replace(written=written)
        await publisher.publish(wanted, ignore)
    assert opened.paths == sorted(str(folder / name) for name in FILES)
    assert {row.path: (row.size, row.sha256) for row in written.rows} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()
    }
