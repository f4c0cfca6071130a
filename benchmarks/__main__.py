"""`make bench`: the figures of docs/figures.md in one run on one machine, each beside its peer, as that table.

`make bench ONLY=placement,polling` measures these parts alone. A Docker daemon is started only for parts that run
containers.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bacalhau.app.dockerd import docker_available, ensure_image
from benchmarks.table import Part, choose
from tests.support.machine import Unfit, prepare


def show(parts: Iterable[Part], image: str = "") -> None:
    """Print the table, each row as soon as it is measured."""
    print("| figure | here | peer | the original 1.9.3 |\n|---|---|---|---|", flush=True)
    for part in parts:
        for row in part.rows(image):
            print("| " + " | ".join(row) + " |", flush=True)


async def show_with_docker(parts: Iterable[Part]) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with docker_available(Path(folder), print) as url:
            # For the servers and the peer alike, also where the daemon is a private one.
            os.environ["DOCKER_HOST"] = url
            await asyncio.to_thread(show, parts, await ensure_image(url, print))


def main(names: str) -> None:
    try:
        parts = choose(names).values()
        if any(part.docker for part in parts):
            prepare(lambda text: print(text, file=sys.stderr))
            asyncio.run(show_with_docker(parts))
        else:
            show(parts)
    except (ValueError, Unfit) as e:
        sys.exit(f"bench: {e}")


if __name__ == "__main__":
    main(",".join(sys.argv[1:]))
