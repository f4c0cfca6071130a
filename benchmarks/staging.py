"""Staging from S3: ours beside s5cmd and boto3, on a SeaweedFS of its own, each client as its own process.

    python benchmarks/staging.py [rounds]

2,000 objects of 10 KB and 4 of 256 MB, server and downloads in memory (/dev/shm) where there is such a place, clients
in turn, medians printed. "s" is listing and fetching alone, as a running node does it (imports excluded; s5cmd whole),
"process" the whole process. The last lines are the ratios ours / s5cmd, below 1 when ours is faster.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

from bacalhau.app.objectstore import object_store
from bacalhau.app.until import run_main
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore

BUCKET, ACCESS_KEY, SECRET_KEY = "bench", "AKIABENCH", "secretsecret"
SMALL, LARGE = (2000, 10_000), (4, 256 << 20)
BYTES = {"small": SMALL[0] * SMALL[1], "large": LARGE[0] * LARGE[1]}
MEMORY = Path("/dev/shm")


def boto_client(url: str):
    return boto3.client("s3", endpoint_url=url, config=Config(max_pool_connections=32))


def load(url: str) -> None:
    s3 = boto_client(url)
    s3.create_bucket(Bucket=BUCKET)

    def put(i: int) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"small/{i // 100:02d}/object-{i:05d}", Body=os.urandom(SMALL[1]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(SMALL[0])))
    block = os.urandom(1 << 20)
    for i in range(LARGE[0]):
        with tempfile.TemporaryFile() as file:
            for _ in range(LARGE[1] >> 20):
                file.write(block)
            file.seek(0)
            s3.upload_fileobj(file, BUCKET, f"large/{i}")


async def ours(url: str, kind: str, into: Path) -> float:
    source = S3Source()
    wanted = SpecConfig(type="s3", params={"Bucket": BUCKET, "Key": kind + "/", "Endpoint": url})
    await source._client.ambient()  # looked up once a minute by a node, not once a job
    started = time.perf_counter()
    await source.fetch(await source.resolve(wanted), into, ignore)
    seconds = time.perf_counter() - started
    await source.close()
    return seconds


def with_boto3(url: str, kind: str, into: Path) -> float:
    s3 = boto_client(url)
    started = time.perf_counter()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=kind + "/")
    keys = [each["Key"] for page in pages for each in page["Contents"]]

    def get(key: str) -> None:
        path = into / key.removeprefix(kind + "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "small":
            path.write_bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        else:
            s3.download_file(BUCKET, key, str(path))

    with ThreadPoolExecutor(32 if kind == "small" else 4) as pool:
        list(pool.map(get, keys))
    return time.perf_counter() - started


def child(client: str, url: str, kind: str, into: Path) -> None:
    """What runs in a client's own process."""
    seconds = run_main(ours(url, kind, into)) if client == "ours" else with_boto3(url, kind, into)
    peak = next(
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    print(seconds, int(peak) / 1024)


def measure(client: str, url: str, kind: str, folder: Path) -> dict[str, float]:
    into = Path(tempfile.mkdtemp(dir=folder))
    if client == "s5cmd":
        program = Path(sysconfig.get_path("purelib")) / "s5cmd" / "bin" / "s5cmd"
        command = [str(program), "--log", "error", "--endpoint-url", url, "cp", f"s3://{BUCKET}/{kind}/*", f"{into}/"]
    else:
        command = [sys.executable, __file__, "child", client, url, kind, str(into)]
    read, write = os.pipe()
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    _, status, usage = os.wait4(pid, 0)
    whole = time.perf_counter() - started
    with open(read) as output:
        said = output.read()
    got = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
    shutil.rmtree(into)
    if status or got != BYTES[kind]:
        raise SystemExit(f"{client} failed: status {status}, {got} bytes of {BYTES[kind]}")
    # The kernel's own figure starts from this process's size, so the children that can tell theirs do.
    seconds, peak = map(float, said.split()) if client != "s5cmd" else (whole, usage.ru_maxrss / 1024)
    return {"s": seconds, "process": whole, "cpu": usage.ru_utime + usage.ru_stime, "MB": peak}


async def main(rounds: int) -> None:
    os.environ.update(
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        async with object_store(Path(folder) / "store", access_key=ACCESS_KEY, secret_key=SECRET_KEY) as store:
            await asyncio.to_thread(subprocess.run, [sys.executable, __file__, "load", store.url], check=True)
            results: dict[str, dict[str, list[dict[str, float]]]] = {
                kind: {c: [] for c in ("ours", "s5cmd", "boto3")} for kind in BYTES
            }
            for _ in range(rounds):
                for kind, clients in results.items():
                    for client, figures in clients.items():
                        figures.append(await asyncio.to_thread(measure, client, store.url, kind, Path(folder)))
    show(results)


def show(results: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    medians = {
        kind: {
            client: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            for client, runs in clients.items()
        }
        for kind, clients in results.items()
    }
    for kind, clients in medians.items():
        for client, figures in clients.items():
            best = min(run["s"] for run in results[kind][client])
            print(
                f"{kind:6} {client:6} {figures['s']:6.2f} s (best {best:.2f})  process {figures['process']:.2f} s  cpu"
                f" {figures['cpu']:.2f} s  {figures['MB']:.0f} MB"
            )
    for kind, clients in medians.items():
        print(
            f"{kind} ours/s5cmd {clients['ours']['s'] / clients['s5cmd']['s']:.2f}  ours/boto3"
            f" {clients['ours']['s'] / clients['boto3']['s']:.2f}"
        )
    print(json.dumps(medians))


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        load(sys.argv[2])
    elif sys.argv[1:2] == ["child"]:
        child(sys.argv[2], sys.argv[3], sys.argv[4], Path(sys.argv[5]))
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
