"""Results on their way out and back: ours beside s5cmd, boto3, `tar | gzip` and Kubo, each client as its own process.

    python -m benchmarks.publishing [files [megabytes]]

A folder of 20,000 files of 1 KB, and one file of 1.5 GB, published to a SeaweedFS of its own and fetched again, also by
way of a node's cache, and published to a content store and fetched from its gateway; all in memory (/dev/shm) where
there is such a place. Of ours "s" is the work alone, as a running node does it, "mb" the memory above what the process
had before, "disk_mb" what lay in temporary files beside it, a file that is only waiting for its name among them. Of the
others "s" is the whole process, but for Kubo, which is a server.
"""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import boto3

from bacalhau.app.cache import open_cache
from bacalhau.app.objectstore import object_store
from bacalhau.app.until import run_main
from bacalhau.compute.execution.cached import Way, bring_cached
from bacalhau.config.schema import Cache
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.download import IpfsDownloader
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.s3.download import S3Downloader
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from benchmarks.server import orchestrator
from benchmarks.staging import ACCESS_KEY, BUCKET, MEMORY, SECRET_KEY

FILES, FILE_BYTES = 20_000, 1000
LARGE_MB = 1500
CONTENT = Path("data") / "orchestrator" / "content"  # of an orchestrator in a folder
EVERY = 0.02  # seconds between two looks at temporary files
S5CMD = str(Path(sysconfig.get_path("purelib")) / "s5cmd" / "bin" / "s5cmd")
KUBO = Path(__file__).parent.parent / "tests" / "peers" / "kubo_process.py"
Figures = dict[str, float]


def make_results(folder: Path, files: int, megabytes: int) -> None:
    """Make the results `many/result` and `large/result`."""
    for number in range(files):
        path = folder / "many" / "result" / f"{number // 1000:02d}" / f"file-{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    (folder / "large" / "result").mkdir(parents=True)
    block = os.urandom(1_000_000)
    with (folder / "large" / "result" / "file").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)


async def _publish_s3(url: str, folder: Path, key: str, encoding: str) -> Figures:
    publisher = S3Publisher()
    await publisher.check()
    params = {"Bucket": BUCKET, "Key": key, "Endpoint": url, "Encoding": encoding}
    result = Result(folder / "result", SpecConfig(type="s3", params=params), "j-1", "e-1", "n-1", 1)
    figures = await _timed(publisher.publish(result, ignore), folder)
    await publisher.close()
    return figures


async def _publish_ipfs(folder: Path, store: Path) -> Figures:
    publisher = IpfsPublisher(BlockStore(store))
    result = Result(folder / "result", SpecConfig(type="ipfs"), "j-1", "e-1", "n-1", 1)

    async def publish() -> None:
        found = await publisher.publish(result, ignore)
        (folder / "published").write_text(str((found.params or {})["CID"]))

    return await _timed(publish(), folder)


async def _get_ipfs(url: str, into: Path, cid: str) -> Figures:
    result = SpecConfig(type="ipfs", params={"CID": cid})
    return await _timed(IpfsDownloader(url).download(result, into, ignore), into)


async def _stage(url: str, into: Path, key: str) -> Figures:
    source = S3Source()
    await source._client.ambient()
    wanted = SpecConfig(type="s3", params={"Bucket": BUCKET, "Key": key, "Endpoint": url})

    async def stage() -> None:
        await source.fetch(await source.resolve(wanted), into, ignore)

    figures = await _timed(stage(), into)
    await source.close()
    return figures


async def _stage_cached(url: str, into: Path, key: str, data: Path) -> Figures:
    """Stage by way of the cache of a node whose folder is `data`."""
    source = S3Source()
    await source._client.ambient()
    wanted = SpecConfig(type="s3", params={"Bucket": BUCKET, "Key": key, "Endpoint": url})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(source.close)
        cache = await open_cache(stack, Cache(), data)
        if cache is None:
            raise RuntimeError(f"there can be no cache in {data}")
        way = Way(cache, source, cache.tree(into.name) / "0")

        async def stage() -> None:
            if await bring_cached(way, await source.resolve(wanted), into, ignore) is None:
                raise RuntimeError("the input did not go by the cache")

        return await _timed(stage(), into)


async def _get(url: str, into: Path, key: str) -> Figures:
    result = SpecConfig(type="s3", params={"Bucket": BUCKET, "Key": key, "Endpoint": url})
    return await _timed(S3Downloader(url).download(result, into, ignore), into)


OURS = {
    "publish-s3": _publish_s3,
    "publish-ipfs": _publish_ipfs,
    "stage": _stage,
    "stage-cached": _stage_cached,
    "get": _get,
    "get-ipfs": _get_ipfs,
}
_PATHS = ("/", ".")


async def _timed(work: Awaitable[object], folder: Path) -> Figures:
    """Do the work; return what it took. `folder` is where it may put temporary files, beside `result`."""
    idle, cpu, began = _status_mb("VmRSS"), time.process_time(), time.perf_counter()
    with _watching(folder) as seen:
        await work
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"s": seconds, "cpu_s": cpu, "mb": max(0.0, _status_mb("VmHWM") - idle), "disk_mb": max(seen) / 1e6}


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) / 1000


@contextmanager
def _watching(folder: Path) -> Iterator[list[int]]:
    """Note the bytes of temporary files, whose names begin with a dot, again and again while the block runs."""
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            seen.append(sum(_bytes_in(Path(each)) for each in os.scandir(folder) if each.name.startswith(".")))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _bytes_in(path: Path) -> int:
    try:
        return sum(_bytes_in(each) for each in path.iterdir()) if path.is_dir() else path.stat().st_size
    except FileNotFoundError:
        return 0


def ours(work: str, *arguments: str) -> Figures:
    """Do a piece of our own work in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.publishing", work, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def peer(command: str) -> Figures:
    """Run a command of the shell, and return what it took."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-ec", command], check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"s": seconds, "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def kubo(repo: Path, many: Path, large: Path, into: Path) -> dict[str, Figures]:
    """Add folders to a Kubo that knows nobody, one after the other, and have it write the first one out again."""
    command = [sys.executable, str(KUBO), str(repo)]
    repo.mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, cwd=repo, **pipes) as child:  # type: ignore[call-overload]
        try:
            _ask(child, "id")
            cid, found = _measured(child, "add", str(many))
            _, fetched = _measured(child, "download", cid, str(into))
            _, added = _measured(child, "add", str(large))
            return {"ipfs-many-kubo": found, "get-ipfs-kubo": fetched, "ipfs-large-kubo": added}
        finally:
            child.kill()


def _measured(child: "subprocess.Popen[str]", *question: str) -> tuple[str, Figures]:
    began, cpu = time.perf_counter(), _cpu_of(child.pid)
    answer = _ask(child, *question)
    return answer, {"s": time.perf_counter() - began, "cpu_s": _cpu_of(child.pid) - cpu}


def _ask(child: "subprocess.Popen[str]", *question: str) -> str:
    assert child.stdin and child.stdout
    child.stdin.write(json.dumps(question) + "\n")
    child.stdin.flush()
    answer = next((line for line in child.stdout if line.startswith("=> ")), "")
    if not answer:
        raise RuntimeError("Kubo ended")
    return str(json.loads(answer.removeprefix("=> ")))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure_s3(url: str, folder: Path) -> dict[str, Figures]:
    s5cmd = f"{S5CMD} --log error --endpoint-url {url}"
    many, large, into = folder / "many", folder / "large", folder / "into"
    found = {"plain": ours("publish-s3", url, str(many), "ours/many/", "plain")}
    found["plain-s5cmd"] = peer(f"{s5cmd} cp {many}/result/ s3://{BUCKET}/s5cmd/many/")
    found["stage"] = ours("stage", url, _empty(into), "ours/many/")
    node = _empty(folder / "node")
    found["stage-first"] = ours("stage-cached", url, _empty(folder / "first"), "ours/many/", node)
    found["stage-again"] = ours("stage-cached", url, _empty(folder / "again"), "ours/many/", node)
    shutil.rmtree(node)
    found["get"] = ours("get", url, _empty(into), "ours/many/")
    found["get-s5cmd"] = peer(f"{s5cmd} cp 's3://{BUCKET}/s5cmd/many/*' {_empty(into)}/")
    found["archive"] = ours("publish-s3", url, str(many), "ours/many.tar.gz", "gzip")
    found["archive-tar"] = peer(f"tar -C {many} -c result | gzip | {s5cmd} pipe s3://{BUCKET}/s5cmd/many.tar.gz")
    found["get-archive"] = ours("get", url, _empty(into), "ours/many.tar.gz")
    found["get-archive-tar"] = peer(f"{s5cmd} cat s3://{BUCKET}/s5cmd/many.tar.gz | tar -C {_empty(into)} -xz")
    found["large"] = ours("publish-s3", url, str(large), "ours/large/", "plain")
    found["large-s5cmd"] = peer(f"{s5cmd} cp {large}/result/ s3://{BUCKET}/s5cmd/large/")
    began = time.perf_counter()
    boto3.client("s3", endpoint_url=url).upload_file(str(large / "result" / "file"), BUCKET, "boto3/large")
    found["large-boto3"] = {"s": time.perf_counter() - began}
    found["get-large"] = ours("get", url, _empty(into), "ours/large/")
    found["get-large-s5cmd"] = peer(f"{s5cmd} cp 's3://{BUCKET}/s5cmd/large/*' {_empty(into)}/")
    return found


def _measure_ipfs(folder: Path) -> dict[str, Figures]:
    home, many, large = folder / "orchestrator", folder / "many", folder / "large"
    found = {"ipfs-many": ours("publish-ipfs", str(many), str(home / CONTENT))}
    found["ipfs-large"] = ours("publish-ipfs", str(large), str(home / CONTENT))
    with orchestrator("Logging.Level=error", folder=home) as served:
        url, cid = served.url.removesuffix("/api/v1"), (many / "published").read_text()
        found["get-ipfs"] = ours("get-ipfs", url, _empty(folder / "into"), cid)
    shutil.rmtree(home)
    return found | kubo(folder / "kubo", many / "result", large / "result", folder / "fetched")


def _empty(folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return str(folder)


async def measure(files: int = FILES, megabytes: int = LARGE_MB) -> dict[str, Figures]:
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    os.environ |= {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        await asyncio.to_thread(make_results, folder, files, megabytes)
        async with object_store(folder / "store", access_key=ACCESS_KEY, secret_key=SECRET_KEY) as store:
            await asyncio.to_thread(boto3.client("s3", endpoint_url=store.url).create_bucket, Bucket=BUCKET)
            found = await asyncio.to_thread(_measure_s3, store.url, folder)
        shutil.rmtree(folder / "store")
        sizes = {"files": files, "file_bytes": FILE_BYTES, "large_bytes": megabytes * 1_000_000}
        return {"sizes": sizes} | found | await asyncio.to_thread(_measure_ipfs, folder)


def main(work: str = "", *arguments: str) -> Figures | dict[str, Figures]:
    if not work or work.isdecimal():
        return asyncio.run(measure(*(int(each) for each in (work, *arguments) if each)))
    given = [Path(each) if each.startswith(_PATHS) else each for each in arguments]
    return run_main(OURS[work](*given))  # type: ignore[operator]


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
