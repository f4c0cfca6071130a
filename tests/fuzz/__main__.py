"""`make fuzz SECONDS=600`: search through all doors by new seeds until the time is over, and watch the server's memory.

What fails is printed with its example; `make fuzz DOOR=nodes SEED=7` begins with that seed at that door.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.fuzz import document, nodes, readers, requests, sockets, texts
from tests.fuzz.search import Search
from tests.fuzz.target import Target, target

GROWTH = 64 << 20  # bytes of a server between a third of the time and its end; what it keeps on purpose is bounded
FIRST_SHARE = 1 / 32
Knock = Callable[[Search], object]


def doors(opened: Target, guarded: Target) -> dict[str, tuple[Knock, int]]:
    """Each door with how many examples make a whole round of some seconds."""
    return {
        "requests": (partial(requests.knock, opened), 300),
        "strangers": (partial(requests.knock, guarded), 300),
        "sockets": (partial(sockets.knock, opened), 40),
        "guarded-sockets": (partial(sockets.knock, guarded), 40),
        "streams": (partial(sockets.knock_streams, opened), 40),
        "nodes": (partial(nodes.knock, opened), 300),
        "jobs": (partial(texts.knock_jobs, opened), 30),
        "settings": (texts.knock_settings, 60),
        "document": (partial(document.knock, opened), 300),
        "guarded-document": (partial(document.knock, guarded), 300),
        "urls": (readers.knock_urls, 100),
        "buckets": (readers.knock_buckets, 100),
        "content": (readers.knock_content, 100),
    }


def rounds(seconds: float, chosen: str, first: int, known: dict[str, tuple[Knock, int]]) -> Iterator[str]:
    """Go through the doors until the time is over, and yield the name of each after its round.

    The first round is a small one, so that every door is reached however short the time is; each one that follows is
    twice as large, until they are whole.
    """
    end, number, share = time.monotonic() + seconds, first, 1.0 if chosen else FIRST_SHARE
    while number == first or time.monotonic() < end:
        for name in [chosen] if chosen else known:
            knock, examples = known[name]
            print(f"{name} with seed {number}, {share:.0%} of a round", flush=True)
            knock(Search(max(1, round(examples * share)), number))
            yield name
            if time.monotonic() > end and number > first:
                return
        number, share = number + 1, min(1.0, 2 * share)


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("seconds", type=float)
    words.add_argument("--door", default="")
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asked = words.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        servers = [
            stack.enter_context(target(folder / name, guarded=name == "guarded")) for name in ("opened", "guarded")
        ]
        began, before = time.monotonic(), [server.memory() for server in servers]
        for _ in rounds(asked.seconds, asked.door, asked.seed, doors(*servers)):
            if time.monotonic() < began + asked.seconds / 3:
                before = [server.memory() for server in servers]
        after = [server.memory() for server in servers]
    print(f"memory: {[b >> 20 for b in before]} MB after a third of the time, {[a >> 20 for a in after]} MB at the end")
    assert all(late - early < GROWTH for early, late in zip(before, after, strict=True)), "the servers' memory grows"


if __name__ == "__main__":
    main()
