"""A cloud as an input: which objects a job's key means, pinned as they are now, and their way into a mount."""

import asyncio
from pathlib import Path

from bacalhau.border.names import shorten
from bacalhau.lib.patience import USUAL, Effort, Patience
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.clouds.bucket import Bucket, find_place, make_threads, open_bucket
from bacalhau.plugins.clouds.cloud import Cloud, Endpoints, Identity
from bacalhau.plugins.clouds.content import name_all, name_of
from bacalhau.plugins.clouds.fetch import Progress, fetch_entries
from bacalhau.plugins.clouds.listing import Lister, list_all, nothing_matches
from bacalhau.plugins.clouds.params import Place, SourceParams
from bacalhau.plugins.objects.keys import check_entries, refuse_clashes
from bacalhau.plugins.objects.partition import pick_share, sharing_of
from bacalhau.plugins.objects.rules import ALL_BUCKETS, BucketRules
from bacalhau.ports.progress import Report, beside
from bacalhau.ports.storage import WHOLE, Access, Content, Entry, ListedPage, Manifest, Partition, Sharing, Volume

MOST_OBJECTS = 2_000_000  # in one listing that is held in memory


class CloudSource:
    """A Storage. Without credentials it reads what is public, so it can always be used."""

    def __init__(
        self,
        cloud: Cloud,
        endpoints: Endpoints,
        buckets: BucketRules = ALL_BUCKETS,
        patience: Patience = USUAL,
    ) -> None:
        self._cloud, self._endpoints, self._buckets, self._patience = cloud, endpoints, buckets, patience
        self._threads = make_threads(cloud)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> None:
        return None

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        params, _ = read_params(spec, self._cloud.source)
        if params is None:
            return []
        said, _ = self._endpoints.refusal(self._cloud, params.place)
        return self._buckets.list_objections(params.bucket, namespace) + ([said] if said else [])

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        params = require_params(source, self._cloud.source)
        bucket = await self._open(params)
        too_many = self._cloud.fault(
            f"{shorten(params.key)!r} in {self._cloud.at(bucket.place)} matches more than {MOST_OBJECTS:,} objects",
            "choose a narrower prefix",
        )
        lister = Lister(bucket, params, Effort(self._patience))
        entries = await list_all(lister, MOST_OBJECTS, too_many)
        if not entries and not params.allow_empty:
            raise nothing_matches(bucket, params)
        await asyncio.to_thread(refuse_clashes, params.bucket, entries, self._cloud.kind)
        return Manifest(source, await asyncio.to_thread(pick_share, params, entries, part))

    async def list_page(self, source: SpecConfig, after: str) -> ListedPage:
        params = require_params(source, self._cloud.source)
        return await Lister(await self._open(params), params, Effort(self._patience)).page(after)

    def sharing(self, source: SpecConfig, count: int) -> Sharing:
        return sharing_of(require_params(source, self._cloud.source), count)

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        return await self.fetch_rest(manifest, manifest.entries, into, report)

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        params = require_params(manifest.source, self._cloud.source)
        await asyncio.to_thread(check_entries, params.bucket, params.prefix, manifest.entries, self._cloud.kind)
        held = manifest.size - manifest._replace(entries=missing).size
        progress = Progress(
            "staging", missing, self._patience, beside(report, len(manifest.entries) - len(missing), held)
        )
        progress.add(0, 0)
        await fetch_entries(await self._open(params), missing, into, progress, manifest.record)
        return Volume(into, read_only=True)

    def wants_copy(self, source: SpecConfig) -> bool:
        return require_params(source, self._cloud.source).writable

    async def name_place(self, source: SpecConfig) -> str:
        params = require_params(source, self._cloud.source)
        place, _ = await self._find(params)
        return name_of(self._cloud, place, params.prefix)

    async def name_contents(self, manifest: Manifest) -> list[Content]:
        place, _ = await self._find(require_params(manifest.source, self._cloud.source))
        return await asyncio.to_thread(name_all, self._cloud, place, manifest.entries)

    async def access(self, source: SpecConfig) -> Access:
        _, identity = await self._find(require_params(source, self._cloud.source))
        return Access(identity.who or "anonymous")

    async def _find(self, params: SourceParams) -> tuple[Place, Identity]:
        return await find_place(self._cloud, params.place, self._endpoints, self._threads)

    async def _open(self, params: SourceParams) -> Bucket:
        return await open_bucket(self._cloud, params.place, self._endpoints, self._patience, self._threads)
