"""Results on the node's own disk: kept whole, served to clients, there again after a restart."""

import os
import socket
from pathlib import Path

import pytest

from bacalhau.lib.errors import NotFound, PublisherFailure, StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.local.publisher import LocalPublisher
from bacalhau.plugins.url.download import UrlDownloader
from bacalhau.ports.progress import Step, ignore
from bacalhau.ports.publisher import Result
from tests.support.ports import free_port


@pytest.fixture
def result(tmp_path):
    folder = tmp_path / "result"
    (folder / "outputs").mkdir(parents=True)
    (folder / "stdout").write_text("hello\n")
    (folder / "outputs" / "large").write_bytes(os.urandom(3 << 20))
    return Result(folder, SpecConfig(type="local"), "j-1", "e-1", "n-1", 0)


def tree(folder: Path):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_published_served_and_fetched(result, tmp_path):
    port = free_port()
    async with LocalPublisher(tmp_path / "kept", "127.0.0.1", port) as publisher:
        await publisher.check()
        steps: list[Step] = []
        spec = await publisher.publish(result, steps.append)
        assert spec == SpecConfig(type="urlDownload", params={"URL": f"http://127.0.0.1:{port}/e-1.tar.gz"})
        assert steps[-1].stage == "publishing" and steps[-1].done == 1
        await publisher.publish(result, ignore)
        assert os.listdir(tmp_path / "kept") == ["e-1.tar.gz"]
        (tmp_path / "got").mkdir()
        fetched: list[Step] = []
        await UrlDownloader("http://127.0.0.1:1234").download(spec, tmp_path / "got", fetched.append)
        assert {step.stage for step in fetched} == {"downloading"}
        assert tree(tmp_path / "got") == tree(result.folder)
        (tmp_path / "part").mkdir()
        await UrlDownloader("http://127.0.0.1:1234").download(spec, tmp_path / "part", ignore, "stdout")
        assert tree(tmp_path / "part") == {"stdout": b"hello\n"}
        with pytest.raises(NotFound, match="the result has no nope"):
            await UrlDownloader("http://127.0.0.1:1234").download(spec, tmp_path / "part", ignore, "nope")
    async with LocalPublisher(tmp_path / "kept", "127.0.0.1", port):
        (tmp_path / "again").mkdir()
        await UrlDownloader("http://127.0.0.1:1234").download(spec, tmp_path / "again", ignore)
        assert tree(tmp_path / "again") == tree(result.folder)


async def test_nothing_but_results_is_served(result, tmp_path):
    async with LocalPublisher(tmp_path / "kept", "127.0.0.1", free_port()) as publisher:
        spec = await publisher.publish(result, ignore)
        (tmp_path / "kept" / "other.txt").write_text("secret")
        (tmp_path / "kept" / "e-2.tar.gz").mkdir()
        root = spec.params["URL"].removesuffix("e-1.tar.gz")
        for path in ("other.txt", "e-2.tar.gz", "x", "%2e%2e%2fresult%2fstdout", "..%2fkept%2fe-1.tar.gz"):
            with pytest.raises(StorageFailure, match="404"):
                await UrlDownloader("http://127.0.0.1:1234").download(
                    SpecConfig(type="urlDownload", params={"URL": root + path}), tmp_path, ignore
                )


async def test_a_port_that_is_taken_is_told_before_any_job_runs(result, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with LocalPublisher(tmp_path / "kept", "127.0.0.1", port) as publisher:
            with pytest.raises(Unavailable, match=f"port {port} for local results is in use"):
                await publisher.check()
            with pytest.raises(PublisherFailure, match=f"port {port} for local results is in use"):
                await publisher.publish(result, ignore)
    async with LocalPublisher(tmp_path / "kept", "127.0.0.1", port) as publisher:
        await publisher.check()
        await publisher.publish(result, ignore)


async def test_until_there_is_a_result_nobody_listens(tmp_path):
    port = free_port()
    async with LocalPublisher(tmp_path / "kept", "192.0.2.1", port) as publisher:
        await publisher.check()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


async def test_the_link_names_the_configured_address(result, tmp_path):
    async with LocalPublisher(tmp_path / "kept", "fd00::7", free_port()) as publisher:
        spec = await publisher.publish(result, ignore)
        assert spec.params["URL"].startswith("http://[fd00::7]:")


@pytest.mark.parametrize("address", ["::1", "[::1]"])
async def test_an_address_in_brackets_is_the_same_address(result, tmp_path, address):
    port = free_port()
    async with LocalPublisher(tmp_path / "kept", address, port) as publisher:
        spec = await publisher.publish(result, ignore)
        assert spec.params == {"URL": f"http://[::1]:{port}/e-1.tar.gz"}
        (tmp_path / "got").mkdir()
        await UrlDownloader("http://127.0.0.1:1234").download(spec, tmp_path / "got", ignore)
        assert tree(tmp_path / "got") == tree(result.folder)
