"""Google Cloud Storage and Azure as inputs: which objects, which paths, pinned, and what is said when it cannot be."""

import hashlib
import os
from pathlib import Path

import pytest

from bacalhau.compute.messages.listing import access_of
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.clouds import bucket as buckets
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.source import CloudSource
from bacalhau.ports.progress import Step, ignore
from bacalhau.ports.storage import Access, Manifest, Partition
from tests.support.answering import Server, listening, says
from tests.support.azurite import ACCOUNT
from tests.support.caching import node_with, stage, tree
from tests.support.clouds import CloudServer, clear_clouds
from tests.support.faulty import FaultyProxy, breaks, refuses, stops_sending
from tests.support.reads import opened_below

OBJECTS = {f"d/{i:02d}.txt": bytes([i]) * (i + 1) for i in range(7)} | {
    "d/sub/x.bin": b"x",
    "e.txt": b"e",
    "d2/y": b"y",
}
BRIEF = Patience(seconds=0.0, unheard=0.0, attempts=1, first=0.01)


@pytest.fixture
async def source(cloud: CloudServer):
    made = CloudSource(cloud.cloud, Endpoints("InputSources.AllowedEndpoints"), patience=BRIEF)
    yield made
    await made.close()


@pytest.fixture
def box(cloud: CloudServer) -> str:
    """A bucket with a few objects."""
    name = cloud.new_bucket()
    cloud.fill(name, OBJECTS)
    return name


async def bring(source: CloudSource, wanted: SpecConfig, into: Path) -> dict[str, bytes]:
    await source.fetch(await source.resolve(wanted), into, ignore)
    return tree(into)


async def list_pages(source: CloudSource, wanted: SpecConfig) -> list[str]:
    """Walk through all pages, as the inventory of a job does."""
    waiting, found = [""], []
    while waiting:
        page = await source.list_page(wanted, waiting.pop())
        waiting += page.following
        found += [entry.key for entry in page.entries]
    return found


@pytest.mark.parametrize(
    ("key", "params", "paths"),
    [
        ("d/03.txt", {}, ["03.txt"]),
        ("d/0*", {}, [f"0{i}.txt" for i in range(7)]),
        ("d/", {}, [*(f"0{i}.txt" for i in range(7)), "sub/x.bin"]),
        ("d*", {}, [*(f"d/0{i}.txt" for i in range(7)), "d/sub/x.bin", "d2/y"]),
        ("", {}, list(OBJECTS)),
        ("d/**/*.bin", {}, ["sub/x.bin"]),
        ("d/", {"Filter": "0[12]"}, ["01.txt", "02.txt"]),
        ("d/", {"Include": ["*.txt"], "Exclude": ["00.txt"], "MaxSize": "3b"}, ["01.txt", "02.txt"]),
    ],
)
async def test_a_key_names_its_objects_whole_and_page_by_page(cloud, box, source, tmp_path, key, params, paths):
    wanted = cloud.spec(box, key, **params)
    got = await bring(source, wanted, tmp_path)
    assert sorted(got) == sorted(paths)
    folder = key[: key.split("*")[0].rfind("/") + 1]
    assert got == {path: OBJECTS[folder + path] for path in paths}
    assert sorted(await list_pages(source, wanted)) == sorted(folder + path for path in paths)


async def test_many_objects_come_in_pages_each_once(cloud, source, monkeypatch):
    monkeypatch.setattr(buckets, "PAGE_OBJECTS", 7)
    box = cloud.new_bucket()
    keys = [f"a/{i:03d}" for i in range(30)] + [f"ab/{i:03d}" for i in range(30)] + ["z"]
    cloud.fill(box, dict.fromkeys(keys, b"1"))
    assert await list_pages(source, cloud.spec(box, "a*")) == keys[:60]
    assert await list_pages(source, cloud.spec(box, "ab*")) == keys[30:60]
    assert await list_pages(source, cloud.spec(box, "ab/02*")) == keys[50:60]


async def test_shares_are_disjoint_and_whole(cloud, box, source):
    wanted = cloud.spec(box, "d/", Partition={"Type": "bytes"})
    shares = [(await source.resolve(wanted, Partition(i, 3))).entries for i in range(3)]
    keys = [entry.key for share in shares for entry in share]
    assert sorted(keys) == sorted(key for key in OBJECTS if key.startswith("d/"))
    assert max(sum(entry.size for entry in share) for share in shares) <= 11


async def test_what_stands_for_a_folder_is_no_file(cloud, source, tmp_path):
    box = cloud.new_bucket()
    cloud.fill(box, {"d/e": b"", "d/f/g": b"1"})
    if cloud.cloud.kind == "gcs":
        cloud.fill(box, {"d/": b"", "d/empty/": b""})
    assert await bring(source, cloud.spec(box, "d/"), tmp_path) == {"e": b"", "f/g": b"1"}


@pytest.mark.parametrize("name", ["ü a+b%25.txt", "a~b#?&=;.x", "c'\"<>|*", "日本/語"])
async def test_odd_keys_come_as_they_are(cloud, source, tmp_path, name):
    box = cloud.new_bucket()
    cloud.fill(box, {f"odd/{name}": b"1"})
    assert await bring(source, cloud.spec(box, "odd/"), tmp_path) == {name: b"1"}


async def test_a_key_that_can_be_no_path_is_named(cloud, box, source):
    cloud.fill(box, {"odd//e": b"1"})
    said = f"object 'odd//e' in {cloud.cloud.word} {box} at {cloud.url} can be no file"
    with pytest.raises(StorageFailure, match=said) as raised:
        await source.resolve(cloud.spec(box, "odd/"))
    assert "choose a prefix that leaves it out" in raised.value.hint


async def test_wrong_credentials_are_told_as_whose_they_are(cloud, box, source, monkeypatch):
    async with FaultyProxy(cloud.server).listen() as proxy:
        monkeypatch.setenv(cloud.cloud.endpoint_variable, proxy.url + cloud.path)
        proxy.choose = lambda request: refuses(403, "AuthenticationFailed")
        with pytest.raises(StorageFailure, match=f"no access to {cloud.cloud.word} {box} at .* as .*: Authentic"):
            await source.resolve(cloud.spec(box, "d/"))


async def test_a_large_object_comes_whole(cloud, source, tmp_path):
    box, body = cloud.new_bucket(), bytes(range(256)) * 50_000
    cloud.fill(box, {"large": body})
    assert await bring(source, cloud.spec(box, "large"), tmp_path) == {"large": body}


async def test_an_object_that_changed_after_it_was_listed_is_named_with_both_etags(cloud, box, source, tmp_path):
    manifest = await source.resolve(cloud.spec(box, "d/0*"))
    cloud.put(box, "d/03.txt", b"other")
    after = (await source.resolve(cloud.spec(box, "d/03.txt"))).entries[0].etag
    before = next(entry.etag for entry in manifest.entries if entry.key == "d/03.txt")
    with pytest.raises(StorageFailure) as raised:
        await source.fetch(manifest, tmp_path, ignore)
    assert f"object d/03.txt in {cloud.cloud.word} {box}" in raised.value.message
    assert raised.value.message.endswith(f"changed after it was listed: {before} was listed, {after} is there")
    cloud.remove(box, "d/03.txt")
    with pytest.raises(StorageFailure, match=r"d/03\.txt .* is gone: .* was listed"):
        await source.fetch(manifest, tmp_path / "again", ignore)


async def test_an_empty_match_says_so_unless_it_is_allowed(cloud, box, source, tmp_path):
    with pytest.raises(StorageFailure, match=f"nothing matches 'none/' in {cloud.cloud.word} {box}"):
        await source.resolve(cloud.spec(box, "none/"))
    assert await bring(source, cloud.spec(box, "none/", AllowEmpty=True), tmp_path) == {}
    with pytest.raises(StorageFailure, match=f"there is no object none in {cloud.cloud.word} {box}"):
        await source.resolve(cloud.spec(box, "none"))


@pytest.mark.parametrize("key", ["x/", "x", ""])
async def test_a_bucket_that_does_not_exist_is_named(cloud, source, key):
    with pytest.raises(StorageFailure, match=f"{cloud.cloud.word} nowhereatall at .* does not exist"):
        await source.resolve(cloud.spec("nowhereatall", key))


async def test_an_endpoint_that_nobody_trusts_is_not_asked(cloud, box, source):
    wanted = cloud.spec(box, "d/", Endpoint="http://127.0.0.1:1")
    said = "endpoint http://127.0.0.1:1 is not one that this machine trusts"
    assert source.list_objections(wanted, "default") == [said]
    with pytest.raises(StorageFailure) as raised:
        await source.resolve(wanted)
    assert said in raised.value.message
    assert "list it in InputSources.AllowedEndpoints" in raised.value.hint
    assert not source.list_objections(cloud.spec(box, "d/", Endpoint=cloud.url), "default")


async def test_manifests_of_other_nodes_stay_below_the_jobs_prefix(cloud, box, source, tmp_path):
    manifest = await source.resolve(cloud.spec(box, "e.txt"))
    with pytest.raises(StorageFailure, match="to which it does not belong"):
        await source.fetch(Manifest(cloud.spec(box, "d/"), manifest.entries), tmp_path, ignore)


async def test_without_credentials_it_is_asked_as_anybody(cloud, box, monkeypatch, tmp_path):
    clear_clouds(monkeypatch)
    source = CloudSource(cloud.cloud, Endpoints("InputSources.AllowedEndpoints", (cloud.url,)), patience=BRIEF)
    wanted = cloud.spec(box, "d/03.txt", Endpoint=cloud.url, Anonymous=True)
    with pytest.raises(StorageFailure, match=r"no access to .* without credentials") as raised:
        await source.resolve(wanted)
    assert cloud.cloud.cure in raised.value.hint
    cloud.open_to_all(box)
    assert await bring(source, wanted, tmp_path) == {"03.txt": OBJECTS["d/03.txt"]}
    assert len(await bring(source, cloud.spec(box, "d/0*", Endpoint=cloud.url), tmp_path)) == 7
    await source.close()


async def test_no_secret_is_in_a_message(cloud, box, source, monkeypatch, tmp_path):
    """The server is away, and obstore's own message has the whole URL."""
    manifest = await source.resolve(cloud.spec(box, "d/0*"))
    monkeypatch.setenv(cloud.cloud.endpoint_variable, "http://127.0.0.1:1/path")
    with pytest.raises(StorageFailure) as raised:
        await source.fetch(manifest, tmp_path, ignore)
    assert "connection refused" in raised.value.message
    assert raised.value.retryable
    assert "the-token" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    "page", ["<html><body>Welcome  to\nnginx</body></html>", '{"service": "Welcome to nginx"}', ""]
)
@pytest.mark.parametrize("key", ["x/", "x"])
async def test_another_service_at_the_endpoint_is_told_by_its_first_words(cloud, source, monkeypatch, key, page):
    async with listening(Server()) as server:
        server.answers = [says(200, page, Content_Type="text/html")]
        monkeypatch.setenv(cloud.cloud.endpoint_variable, server.url)
        with pytest.raises(StorageFailure, match="what answers there does not speak as") as raised:
            await source.resolve(cloud.spec("somebucket", key))
        assert ("Welcome to nginx" in raised.value.message) == bool(page)
        assert "Authorization" not in server.requests[-1].headers


@pytest.fixture
async def proxy(cloud, monkeypatch):
    async with FaultyProxy(cloud.server).listen() as made:
        monkeypatch.setenv(cloud.cloud.endpoint_variable, made.url + cloud.path)
        yield made


async def test_what_breaks_off_is_gone_on_with(cloud, proxy, tmp_path):
    box, body = cloud.new_bucket(), os.urandom(6 << 20)
    cloud.fill(box, {"large": body})
    source = CloudSource(cloud.cloud, Endpoints(), patience=Patience(seconds=30.0, first=0.01, longest=0.02))
    manifest = await source.resolve(cloud.spec(box, "large"))
    faults = iter([refuses(503, "SlowDown"), breaks(3 << 20), refuses(500, "InternalError"), breaks(1 << 20)])
    proxy.choose = lambda request: next(faults, None)
    assert await bring(source, manifest.source, tmp_path) == {"large": body}
    await source.close()


async def test_a_server_that_falls_silent_is_left(cloud, proxy, tmp_path):
    box = cloud.new_bucket()
    cloud.fill(box, {"large": os.urandom(3 << 20)})
    source = CloudSource(cloud.cloud, Endpoints(), patience=Patience(seconds=0.5, attempts=1, first=0.01, longest=0.02))
    manifest = await source.resolve(cloud.spec(box, "large"))
    sent = iter([1 << 20])
    proxy.choose = lambda request: stops_sending(next(sent, 0))
    with pytest.raises(StorageFailure, match=r"no answer in time|connection lost"):
        await source.fetch(manifest, tmp_path, ignore)
    with pytest.raises(StorageFailure, match=r"no answer in time|connection lost"):
        await source.resolve(cloud.spec(box, "large*"))
    await source.close()


async def test_an_input_says_as_whom_it_is_read_and_no_secret(cloud, box, source, monkeypatch):
    access = await access_of(source, cloud.spec(box, "d/"))
    assert (
        access.identity == {"gcs": "the bearer of GOOGLE_BEARER_TOKEN", "azure": f"account {ACCOUNT}"}[cloud.cloud.kind]
    )
    assert await access_of(source, cloud.spec(box, "d/", Anonymous=True)) == Access("anonymous")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sig=hidden")
    monkeypatch.delenv("AZURE_STORAGE_KEY", raising=False)
    told = await access_of(source, cloud.spec(box, "d/"))
    assert told.identity and "hidden" not in str(told) and "the-token" not in str(told)


class Counting(FaultyProxy):
    """Notes the objects that are read through it."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.read: list[str] = []

    async def fetch(self, request):
        status, headers, data = await super().fetch(request)
        if request.method == "GET" and not {"list-type", "comp"} & set(request.query):
            self.read.append(request.path.rpartition("/")[2])
        return status, headers, data


@pytest.fixture
async def door(cloud, monkeypatch):
    async with Counting(cloud.server).listen() as made:
        monkeypatch.setenv(cloud.cloud.endpoint_variable, made.url + cloud.path)
        yield made


async def test_a_node_brings_again_only_what_changed(cloud, box, door, source, tmp_path):
    wanted, bodies = cloud.spec(box, "d/0*"), {f"0{i}.txt": OBJECTS[f"d/0{i}.txt"] for i in range(7)}
    async with node_with(tmp_path, sources={cloud.cloud.kind: source}) as node:
        for run in range(2):
            steps: list[Step] = []
            (mount,) = await stage(node, f"e-{run}", wanted, report=steps.append)
            assert (tree(mount.host_path), mount.read_only, mount.own) == (bodies, True, False)
            assert (steps[-1].done, steps[-1].total, steps[-1].bytes_done) == (7, 7, sum(map(len, bodies.values())))
            assert sorted(door.read) == (sorted(bodies) if run == 0 else [])
            door.read.clear()
        cloud.put(box, "d/03.txt", b"other")
        (mount,) = await stage(node, "e-3", wanted)
        assert door.read == ["03.txt"]
        assert tree(mount.host_path) == bodies | {"03.txt": b"other"}
        place = await source.name_place(wanted)
        assert place == f"{door.url}{cloud.path}/{box}/d/0"
        assert await node.cache.measure(place) == sum(map(len, bodies.values())) + 5


async def test_a_task_that_asks_for_it_gets_a_copy_to_write_in(cloud, box, door, source, tmp_path):
    async with node_with(tmp_path, sources={cloud.cloud.kind: source}) as node:
        (mount,) = await stage(node, "e-1", cloud.spec(box, "d/03.txt", Writable=True))
        assert (mount.read_only, mount.own) == (False, True)
        (mount.host_path / "03.txt").write_bytes(b"changed!")
        (second,) = await stage(node, "e-2", cloud.spec(box, "d/03.txt"))
        assert tree(second.host_path) == {"03.txt": OBJECTS["d/03.txt"]}
        assert door.read == ["03.txt"]


async def test_an_object_is_compared_with_the_digest_that_the_job_names(cloud, box, source, tmp_path):
    digest = hashlib.sha256(OBJECTS["e.txt"]).hexdigest()
    assert await bring(source, cloud.spec(box, "e.txt", ChecksumSHA256=digest), tmp_path) == {"e.txt": b"e"}
    with pytest.raises(StorageFailure, match=r"checksum mismatch for object e\.txt"):
        await bring(source, cloud.spec(box, "e.txt", ChecksumSHA256="00" * 32), tmp_path)


async def test_objects_are_hashed_as_they_come(
    cloud: CloudServer, source: CloudSource, box: str, tmp_path: Path
) -> None:
    cloud.fill(box, {"d/large": os.urandom(3 << 20)})
    told: dict[str, tuple[int, bytes]] = {}

    def record(path: str, size: int, digest: bytes, from_cache: bool = False) -> None:
        told[path] = size, digest

    manifest = await source.resolve(cloud.spec(box, "d/"))
    with opened_below(tmp_path) as opened:
        await source.fetch(manifest._replace(record=record), tmp_path, ignore)
    assert opened.paths == []
    brought = tree(tmp_path)
    assert told == {path: (len(data), hashlib.sha256(data).digest()) for path, data in brought.items()}
    assert len(told) == 9
