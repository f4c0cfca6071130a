"""Servers that keep a connection open and move no byte on it: all that waits for them ends by its patience."""

import os

import pytest

from bacalhau.lib.errors import BacalhauError, PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.download import IpfsDownloader
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.managed import S3ManagedPublisher
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from bacalhau.plugins.url.download import UrlDownloader
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.support.faulty import FaultyProxy, stops_reading, stops_sending

pytestmark = pytest.mark.usefixtures("credentials")
SHORT = Patience(seconds=0.5, attempts=1, first=0.001, longest=0.002)
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
MB = 1 << 20


def stall(proxy, takes=lambda request: False) -> None:
    """Let the server send a little once, and nothing from then on, but for requests that it `takes`."""
    sent = iter([1000])

    def choose(request):
        return None if takes(request) else stops_sending(next(sent, 0))

    proxy.choose = choose


@pytest.fixture
async def proxy(s3):
    async with FaultyProxy(s3.url).listen() as made:
        yield made


def result_of(folder, size: int, spec: SpecConfig) -> Result:
    tree = folder / "execution" / "result"
    tree.mkdir(parents=True)
    (tree / "stdout").write_bytes(os.urandom(size))
    return Result(tree, spec, "j", "e", "n", 0)


def s3_place(proxy, bucket, key) -> SpecConfig:
    return SpecConfig(type="s3", params={"Bucket": bucket, "Key": key, "Endpoint": proxy.url})


@pytest.mark.parametrize("encoding", ["gzip", "plain"])
async def test_a_bucket_that_stops_taking_a_result(proxy, bucket, tmp_path, encoding):
    """Also the abort of the upload that had begun is not taken."""
    proxy.choose = lambda request: None if "uploads" in request.query else stops_reading
    params = {"Bucket": bucket, "Key": "r/", "Endpoint": proxy.url, "Encoding": encoding}
    publisher = S3Publisher(patience=SHORT)
    with pytest.raises(PublisherFailure, match="no answer in time") as raised:
        await publisher.publish(result_of(tmp_path, 20 * MB, SpecConfig(type="s3", params=params)), ignore)
    await publisher.close()
    assert not raised.value.retryable


async def test_a_link_behind_which_nobody_takes_a_result(proxy, tmp_path):
    proxy.choose = lambda request: stops_reading

    async def sign(job: str, execution: str) -> str:
        return f"{proxy.url}/bucket/key"

    with pytest.raises(PublisherFailure, match="no answer in time"):
        await S3ManagedPublisher(sign, SHORT).publish(result_of(tmp_path, 20 * MB, SpecConfig("s3managed")), ignore)


async def test_an_ipfs_node_that_stops_taking_a_result(proxy, tmp_path):
    proxy.choose = lambda request: stops_reading
    publisher = IpfsPublisher(BlockStore(tmp_path / "store"), proxy.url, SHORT)
    with pytest.raises(PublisherFailure, match=r"was silent for 0.5 s \(add\)"):
        await publisher.publish(result_of(tmp_path, 20 * MB, SpecConfig("ipfs")), ignore)


@pytest.mark.parametrize("size", [300_000, 9 * MB, 66 * MB])
async def test_a_bucket_that_stops_sending(proxy, s3, bucket, tmp_path, size):
    s3.fill(bucket, {"d/x": os.urandom(size)})
    source, place = S3Source(patience=SHORT), s3_place(proxy, bucket, "d/")
    manifest = await source.resolve(place)
    stall(proxy)
    with pytest.raises(StorageFailure, match="without progress"):
        await source.fetch(manifest, tmp_path, ignore)
    with pytest.raises(StorageFailure, match="cannot reach S3 at"):
        await source.resolve(place)
    await source.close()


async def test_results_that_stop_coming(proxy, s3, bucket, tmp_path):
    s3.fill(bucket, {"r.tar.gz": os.urandom(300_000), "plain/x": os.urandom(300_000)})
    stall(proxy, lambda request: request.method == "HEAD")
    by_url = SpecConfig(type="urlDownload", params={"URL": f"{proxy.url}/{bucket}/r.tar.gz"})
    here = "http://127.0.0.1:1"
    for downloader, result in [
        (S3Downloader(here, SHORT), s3_place(proxy, bucket, "r.tar.gz")),
        (S3Downloader(here, SHORT), s3_place(proxy, bucket, "plain/")),
        (UrlDownloader(here, SHORT), by_url),
        (IpfsDownloader(proxy.url, patience=SHORT), SpecConfig(type="ipfs", params={"CID": CID})),
        (IpfsDownloader("", proxy.url, patience=SHORT), SpecConfig(type="ipfs", params={"CID": CID})),
    ]:
        (tmp_path / str(id(downloader))).mkdir()
        with pytest.raises((StorageFailure, Unavailable)) as raised:
            await downloader.download(result, tmp_path / str(id(downloader)), ignore)
        assert isinstance(raised.value, BacalhauError)


async def test_a_web_server_that_stops_sending(proxy, s3, bucket, tmp_path):
    s3.fill(bucket, {"file": os.urandom(300_000)})
    spec = SpecConfig(type="urlDownload", params={"URL": f"{proxy.url}/{bucket}/file"})
    async with UrlSource(SHORT) as source:
        stall(proxy)
        with pytest.raises(StorageFailure, match=r"silent for too long: nothing came for 0.5 s"):
            await source.resolve(spec)
