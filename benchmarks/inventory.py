"""The inventory of a job over a prefix of many keys: until its inputs are listed, kept and shared out, beside the time
in which `s5cmd ls` lists them.

The store is a process of its own that answers listings alone, as quickly as Python can, so that neither side waits for
a server's disk. The job asks for more than the node has, so it is listed and then waits: nothing is fetched.

python -m benchmarks.inventory [keys]
"""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from benchmarks.large import ask, probing
from benchmarks.noop import TASK
from benchmarks.server import Server, server

KEYS, PAGE = 1_000_000, 1000
PARTS = 100
BUCKET = "bench"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIABENCH",
    "AWS_SECRET_ACCESS_KEY": "secretsecret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
PATIENCE = 900.0  # seconds
ITEM = (
    "<Contents><Key>data/part-%08d</Key><LastModified>2026-11-28T00:00:00.000Z</LastModified>"
    "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass>"
    "</Contents>"
)
ANSWER = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>bench</Name><Prefix>data/</Prefix><MaxKeys>1000</MaxKeys>%s</ListBucketResult>"
)


def make_page(keys: int, start: int) -> bytes:
    """Make the page of a listing that begins with key number `start`."""
    end = min(start + PAGE, keys)
    more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < keys else ""
    cut = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}"
    return (ANSWER % (cut + "".join(ITEM % (i, 1000 + i % 977) for i in range(start, end)))).encode()


def serve_listing(keys: int, pipe: Pipe) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            is_grouped = "delimiter" in query and query.get("prefix", "") != "data/"
            token = query.get("continuation-token", "0")
            body = make_page(keys, int(token) if token.isdecimal() else 0) if not is_grouped else make_page(0, 0)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    class Listing(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away: one that has all it wants need not end its connections."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    listing = Listing(("127.0.0.1", 0), Handler)
    pipe.send(f"http://127.0.0.1:{listing.server_address[1]}")
    listing.serve_forever()


@contextmanager
def listing_server(keys: int) -> Iterator[str]:
    """Serve the listing from a process of its own while the block runs."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=serve_listing, args=(keys, theirs), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        process.terminate()
        process.join()


def _peer(url: str, keys: int) -> dict[str, float]:
    program = Path(sysconfig.get_path("purelib")) / "s5cmd" / "bin" / "s5cmd"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [str(program), "--endpoint-url", url, "ls", f"s3://{BUCKET}/data/*"]
    done = subprocess.run(command, env={**os.environ, **CREDENTIALS}, capture_output=True, check=True)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if (found := done.stdout.count(b"\n")) != keys:
        raise RuntimeError(f"s5cmd listed {found} of {keys} keys")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"peer_s": seconds, "peer_cpu_s": cpu}


def _submit(served: Server, url: str) -> str:
    params = {"Bucket": BUCKET, "Key": "data/", "Endpoint": url, "Partition": {"Type": "bytes"}}
    task = {**TASK, "InputSources": [{"Source": {"Type": "s3", "Params": params}, "Target": "/inputs"}]}
    task["Resources"] = {"CPU": "1m", "Memory": "1Mb"}
    body = json.dumps({"Job": {"Type": "batch", "Count": PARTS, "Tasks": [task]}}).encode()
    return str(ask(served.url, "PUT", "/orchestrator/jobs", body)["JobID"])


def _wait_for_inventory(served: Server, job_id: str, keys: int) -> float:
    """Wait until the inputs are listed; return the most memory that was seen meanwhile, MB."""
    most, end = 0.0, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer: Any = ask(served.url, "GET", f"/orchestrator/jobs/{job_id}")
        found = answer["Job"].get("Inventory") or {}
        if found and found.get("Objects") != keys:
            raise RuntimeError(found.get("Error") or f"{found.get('Objects')} of {keys} keys were listed")
        if found:
            return most
        most = max(most, served.resident_mb())
        time.sleep(0.1)
    raise RuntimeError(f"the inputs were not listed in {PATIENCE:.0f} s")


def measure(keys: int = KEYS) -> dict[str, float]:
    figures: dict[str, float] = {"keys": keys}
    with (
        listing_server(keys) as url,
        server("Logging.Level=error", "InputSources.AllowedNetworks=127.0.0.0/8", **CREDENTIALS) as served,
        probing(served.url, served.pid) as probe,
    ):
        figures |= _peer(url, keys)
        figures["idle_mb"], cpu = served.resident_mb(), served.cpu_ms()
        probe.take("idle")
        began = time.monotonic()
        job_id = _submit(served, url)
        figures["most_mb"] = _wait_for_inventory(served, job_id, keys)
        figures |= {"s": time.monotonic() - began, "cpu_s": (served.cpu_ms() - cpu) / 1000, **probe.take("list")}
        ask(served.url, "DELETE", f"/orchestrator/jobs/{job_id}")
    return figures


if __name__ == "__main__":
    for name, value in measure(*map(int, sys.argv[1:])).items():
        print(f"{name:28}{value:12.2f}")
