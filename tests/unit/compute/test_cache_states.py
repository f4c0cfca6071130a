"""The cache of inputs over all orders of events: what tasks see is right and told, and the books are those of the
files.
"""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bacalhau.compute.execution.cached import Way, bring_cached
from bacalhau.compute.state.cache import InputCache
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Content, Entry, Manifest, Volume
from bacalhau.store.cache import SqliteCacheBooks

BUDGET = 1_000
NAMES = st.sets(st.sampled_from("abcdef"), min_size=1)


async def turn():
    """Let all others have a turn of the event loop."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_soon(over.set_result, None)
    await over


class Shelves:
    """A source whose objects have versions; by the spec's type it wants a copy, or tells no digests."""

    def __init__(self):
        self.versions = dict.fromkeys("abcdef", 0)

    def body(self, name, version):
        return f"{name}{version}".encode() * (50 * (ord(name) - 96))

    def manifest(self, names, kind):
        entries = tuple(
            Entry(name, f"d/{name}", len(self.body(name, self.versions[name])), str(self.versions[name]))
            for name in sorted(names)
        )
        return Manifest(SpecConfig(type=kind), entries)

    def wants_copy(self, source):
        return source.type == "copy"

    async def name_place(self, source):
        return "x/"

    async def name_contents(self, manifest):
        return [Content(f"x/{e.key}", f"{e.key}\0{e.etag}") for e in manifest.entries]

    async def fetch_rest(self, manifest, missing, into, report):
        for entry in missing:
            await turn()
            body = self.body(entry.key, entry.etag)
            (into / entry.path).write_bytes(body)
            if manifest.source.type != "silent":
                manifest.record(entry.path, len(body), hashlib.sha256(body).digest())
        return Volume(into)


class CacheStates(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.source, self.runs, self.number = Shelves(), {}, 0
        self.loop.run_until_complete(self.open())

    async def open(self):
        self.books = SqliteCacheBooks(self.path / "cache.db")
        await self.books.__aenter__()
        self.cache = InputCache(self.path, self.books, BUDGET)
        self.cache.shelf.prepare()
        await self.cache.open()

    async def close(self):
        await self.books.__aexit__(None, None, None)

    async def bring(self, names, kind):
        self.number += 1
        name, manifest = f"e-{self.number}", self.source.manifest(names, kind)
        into = self.path / "own" / name
        into.mkdir(parents=True)
        way = Way(self.cache, self.source, self.cache.tree(name) / "0")
        told = {}

        def record(path, size, digest, from_cache=False):
            told[path] = size, digest

        volume = await bring_cached(way, manifest._replace(record=record), into, ignore)
        if volume is None:
            assert not way.tree.exists()
            return
        assert volume.path.is_relative_to(into) == (kind == "copy")
        bodies = {e.path: self.source.body(e.key, e.etag) for e in manifest.entries}
        assert told == {path: (len(body), hashlib.sha256(body).digest()) for path, body in bodies.items()}
        self.runs[name] = (volume.path, bodies)

    @rule(wanted=st.lists(st.tuples(NAMES, st.sampled_from(["link", "copy", "silent"])), min_size=1, max_size=3))
    def run(self, wanted):
        async def together():
            await asyncio.gather(*(self.bring(*one) for one in wanted))

        self.loop.run_until_complete(together())

    @rule(names=NAMES, turns=st.integers(0, 300))
    def run_and_cancel(self, names, turns):
        async def cancel():
            task = asyncio.ensure_future(self.bring(names, "link"))
            for _ in range(turns):
                await turn()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.loop.run_until_complete(cancel())

    @rule(name=st.sampled_from("abcdef"))
    def change(self, name):
        self.source.versions[name] += 1

    @rule(data=st.data())
    def end(self, data):
        if self.runs:
            name = data.draw(st.sampled_from(sorted(self.runs)))
            del self.runs[name]
            self.loop.run_until_complete(self.cache.release(name))

    @rule(most=st.integers(0, BUDGET))
    def prune(self, most):
        self.loop.run_until_complete(self.cache.prune(most, 0))

    @rule()
    def start_again(self):
        async def again():
            await self.close()
            await self.open()
            ended = self.cache.shelf.list_trees() - self.runs.keys()
            await self.cache.tidy(ended)

        self.loop.run_until_complete(again())

    @invariant()
    def tasks_see_what_they_asked_for(self):
        for path, files in self.runs.values():
            assert {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()} == files

    @invariant()
    def the_books_are_those_of_the_files_and_within_the_budget(self):
        listed = self.loop.run_until_complete(self.books.list_sizes())
        files = {p.name: p.stat().st_size for p in self.cache.shelf.objects.rglob("*") if p.is_file()}
        assert listed == files and self.cache.total == sum(files.values()) <= BUDGET
        assert not self.cache._fetched and not self.cache._coming

    def teardown(self):
        self.loop.run_until_complete(self.close())
        self.loop.close()
        self.folder.cleanup()


CacheStates.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestCacheStates = CacheStates.TestCase
