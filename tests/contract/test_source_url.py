"""Files from a real HTTP server on loopback, a good one and bad ones."""

import asyncio
import itertools
import os
import socket
import uuid

import pytest

from bacalhau.app.tls import server_tls
from bacalhau.config.access import ApiTLS
from bacalhau.lib.errors import BadRequest, StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import ignore
from tests.support.web import file_server

MIB = 1 << 20

FEW = Patience(seconds=0, attempts=3, first=0.001)


def spec(url):
    return SpecConfig(type="urlDownload", params={"URL": url})


async def bring(url, into, report=ignore):
    """The manifest, and the folder's only file by name and content."""
    into.mkdir(exist_ok=True)
    async with UrlSource(FEW) as source:
        await source.check()
        manifest = await source.resolve(spec(url))
        volume = await source.fetch(manifest, into, report)
    assert (volume.path, volume.read_only) == (into, True)
    [name] = os.listdir(into)
    assert (into / name).stat().st_mode & 0o777 == 0o644
    return manifest, name, (into / name).read_bytes()


async def test_a_file_in_a_folder_of_its_own(tmp_path):
    async with file_server() as server:
        server.files["/a/file one.txt"] = b"content"
        steps = []
        manifest, name, data = await bring(f"{server.url}/a/file%20one.txt?x=a%2Fb", tmp_path / "in", steps.append)
        assert (name, data) == ("file one.txt", b"content")
        [entry] = manifest.entries
        assert (entry.size, entry.etag, entry.path) == (7, '"one"', "file one.txt")
        assert server.asked == [(method, "/a/file%20one.txt?x=a%2Fb", "") for method in ("HEAD", "GET")]
        assert (steps[-1].stage, steps[-1].done, steps[-1].total, steps[-1].bytes_done, steps[-1].bytes_total) == (
            "staging",
            1,
            1,
            7,
            7,
        )


async def test_the_file_itself_where_that_is_asked_for(tmp_path):
    async with file_server() as server, UrlSource() as source:
        server.files["/a/x.csv"] = b"content"
        asked = SpecConfig(type="urlDownload", params={"URL": f"{server.url}/a/x.csv", "AsFile": True})
        volume = await source.fetch(await source.resolve(asked), tmp_path, ignore)
        assert (volume.path, volume.path.read_bytes()) == (tmp_path / "x.csv", b"content")


@pytest.mark.parametrize(
    ("how", "size"),
    [
        ({"no_head": True}, 5),
        ({"no_head": True, "no_range": True}, 5),
        ({"no_length": True}, 5),
        ({"no_length": True, "no_range": True}, -1),
        ({"no_head": True, "etag": ""}, 5),
        ({"etag": 'W/"weak"'}, 5),
    ],
)
async def test_servers_that_cannot_say_everything(tmp_path, how, size):
    async with file_server() as server:
        vars(server).update(how)
        server.files["/f"] = b"12345"
        manifest, name, data = await bring(f"{server.url}/f", tmp_path / "in")
        assert (manifest.entries[0].size, name, data) == (size, "f", b"12345")
        assert manifest.entries[0].etag == (server.etag if server.etag == '"one"' else "")


async def test_empty_files(tmp_path):
    async with file_server() as server:
        server.files["/empty"] = b""
        manifest, _, data = await bring(f"{server.url}/empty", tmp_path / "in")
        assert (manifest.size, data) == (0, b"")
        server.no_head = True
        manifest, _, data = await bring(f"{server.url}/empty", tmp_path / "again")
        assert (manifest.entries[0].size, data) == (0, b"")
        server.refusals = [204, 204]
        manifest, _, data = await bring(f"{server.url}/no-content", tmp_path / "none")
        assert (manifest.entries[0].size, data) == (0, b"")


async def test_names_after_redirects(tmp_path):
    async with file_server() as server:
        server.files = dict.fromkeys(("/third.txt", "/", "/dir/"), b"x")
        server.redirects = {"/initial": "/second.png", "/second.png": f"{server.url}/third.txt"}
        assert (await bring(f"{server.url}/initial", tmp_path / "1"))[1] == "third.txt"
        assert uuid.UUID((await bring(f"{server.url}/", tmp_path / "2"))[1])
        server.headers["Content-Disposition"] = 'attachment; filename="../../300.jpg"'
        assert (await bring(f"{server.url}/initial", tmp_path / "3"))[1] == "300.jpg"
        assert (await bring(f"{server.url}/third.txt", tmp_path / "4"))[1] == "third.txt"


async def test_redirects_have_a_limit(tmp_path):
    async with file_server() as server:
        server.redirects = {f"/{i}": f"/{i + 1}" for i in range(11)} | {"/ftp": "ftp://h/f"}
        server.files = {"/11": b"x", "/10": b"x"}
        assert (await bring(f"{server.url}/1", tmp_path / "in"))[1] == "11"
        with pytest.raises(StorageFailure, match=r"/0 redirects more than 10 times"):
            await bring(f"{server.url}/0", tmp_path / "more")
        with pytest.raises(StorageFailure, match=r"/ftp leads to what is not an http address: ftp://h/f"):
            await bring(f"{server.url}/ftp", tmp_path / "more")


async def test_a_refusal_is_told_at_once(tmp_path):
    async with file_server() as server:
        for status in (401, 403, 404, 410):
            server.refusals, server.asked = [status, status], []
            with pytest.raises(StorageFailure, match=f"non-200 response from URL {server.url}/f: {status} ") as failed:
                await bring(f"{server.url}/f", tmp_path / "in")
            assert not failed.value.retryable
            assert [method for method, _, _ in server.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_what_may_pass_is_tried_again(tmp_path, status):
    async with file_server() as server:
        server.files["/f"] = b"12345"
        server.refusals = [status] * 4
        assert (await bring(f"{server.url}/f", tmp_path / "in"))[2] == b"12345"
        server.refusals = [status] * 8
        with pytest.raises(StorageFailure, match=rf"/f: {status} .*\(gave up after 4 attempts\)") as failed:
            await bring(f"{server.url}/f", tmp_path / "in")
        assert failed.value.retryable
        assert server.refusals == []


async def test_a_server_says_when_to_come_again(tmp_path):
    async with file_server() as server:
        server.files["/f"] = b"12345"
        server.refusals, server.headers = [429, 429], {"Retry-After": "1"}
        before = asyncio.get_running_loop().time()
        await bring(f"{server.url}/f", tmp_path / "in")
        assert asyncio.get_running_loop().time() - before >= 1


async def test_a_broken_download_goes_on_where_it_broke(tmp_path):
    data = os.urandom(30 * MIB)
    async with file_server() as server:
        server.files["/big"] = data
        server.cuts = [5 * MIB] * 5
        steps = []
        _, _, got = await bring(f"{server.url}/big", tmp_path / "in", steps.append)
        assert got == data
        begins = [int(asked.removeprefix("bytes=").removesuffix("-")) for method, _, asked in server.asked[2:]]
        assert begins == sorted(begins)
        assert begins[0] >= MIB
        assert max(later.bytes_done - sooner.bytes_done for sooner, later in itertools.pairwise(steps)) <= 4 * MIB


@pytest.mark.parametrize("how", [{"no_range": True}, {"etag": ""}, {"etag": 'W/"weak"'}])
async def test_a_broken_download_starts_again_where_it_cannot_go_on(tmp_path, how):
    data = os.urandom(8 * MIB)
    async with file_server() as server:
        vars(server).update(how)
        server.files["/big"] = data
        server.cuts = [5 * MIB, 6 * MIB]
        assert (await bring(f"{server.url}/big", tmp_path / "in"))[2] == data


async def test_an_answer_cut_short_without_length_is_noticed(tmp_path):
    data = os.urandom(3 * MIB)
    async with file_server() as server:
        server.files["/big"], server.no_length, server.no_range = data, True, True
        server.cuts = [2 * MIB]
        assert (await bring(f"{server.url}/big", tmp_path / "in"))[2] == data


async def test_a_connection_that_always_breaks_ends(tmp_path):
    async with file_server() as server:
        server.files["/big"] = bytes(MIB)
        server.cuts = [1000] * 5
        server.no_range = True  # so that no attempt comes further than the first
        with pytest.raises(
            StorageFailure, match=r"/big: the connection was lost: the answer broke off \(gave up after 5 attempts\)"
        ) as failed:
            await bring(f"{server.url}/big", tmp_path / "in")
        assert failed.value.retryable
        assert server.cuts == []
        assert os.listdir(tmp_path / "in") == [".download"]


async def test_two_versions_are_never_mixed(tmp_path):
    async with file_server() as server:
        server.files["/f"] = bytes(8 * MIB)
        (tmp_path / "in").mkdir()

        def change(step):
            server.files["/f"], server.etag = b"\1" * (8 * MIB), '"two"'

        server.cuts = [5 * MIB]
        async with UrlSource(FEW) as source:
            manifest = await source.resolve(spec(f"{server.url}/f"))
            with pytest.raises(
                StorageFailure, match=r'/f changed while it was read: its ETag was "one", is "two"'
            ) as failed:
                await source.fetch(manifest, tmp_path / "in", change)
        assert failed.value.retryable


async def test_a_server_nobody_answers_at(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/f"
        with pytest.raises(
            StorageFailure,
            match=r"URL http://127.0.0.1:\d+/f cannot be reached: connection refused \(gave up after 4 attempts\)",
        ) as failed:
            await bring(url, tmp_path / "in")
    assert failed.value.retryable
    assert "secret" not in failed.value.message


async def test_a_host_that_is_none(tmp_path):
    with pytest.raises(
        StorageFailure, match=r"URL http://nosuch\.invalid/f cannot be reached: host not found \(gave up"
    ):
        await bring("http://nosuch.invalid/f", tmp_path / "in")


async def test_a_certificate_nobody_vouches_for_and_what_is_no_http(tmp_path):
    async def answer(reader, writer):
        writer.write(b"220 mail.example.org\r\n")
        writer.close()

    tls = server_tls(ApiTLS(self_signed=True), tmp_path)
    for context, scheme, words in (
        (tls, "https", "cannot be trusted: its certificate: self-signed certificate"),
        (None, "https", "cannot be trusted: TLS: "),
        (None, "http", "is not answered in HTTP"),
    ):
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(StorageFailure) as failed:
                await bring(f"{scheme}://127.0.0.1:{port}/f", tmp_path / "in")
        assert (
            failed.value.message.startswith(f"URL {scheme}://127.0.0.1:{port}/f {words}") and not failed.value.retryable
        )


async def test_a_disk_that_refuses_says_so(tmp_path):
    async with file_server() as server:
        server.files["/f"] = b"12345"
        async with UrlSource() as source:
            manifest = await source.resolve(spec(f"{server.url}/f"))
            with pytest.raises(StorageFailure, match=r"/f cannot be written to .*gone: No such file"):
                await source.fetch(manifest, tmp_path / "gone", ignore)


async def test_the_proxy_of_the_environment_is_asked(tmp_path, monkeypatch):
    async with file_server() as proxy:
        proxy.files["/f"] = b"by proxy"
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await bring("http://elsewhere.invalid/f", tmp_path / "in"))[2] == b"by proxy"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert (await bring(f"{proxy.url}/f", tmp_path / "direct"))[2] == b"by proxy"


async def test_two_at_once(tmp_path):
    async with file_server() as server:
        server.files = {f"/{i}": os.urandom(2 * MIB) for i in range(8)}
        brought = await asyncio.gather(*(bring(f"{server.url}/{i}", tmp_path / str(i)) for i in range(8)))
        assert {f"/{name}": data for _, name, data in brought} == server.files


async def test_a_bad_url_is_refused():
    async with UrlSource() as source:
        with pytest.raises(BadRequest, match="must begin with 'http' or 'https'"):
            await source.resolve(spec("ftp://h/f"))


@pytest.mark.parametrize("retries", [0, 1])
async def test_how_often_is_the_administrators_choice(retries):
    async with file_server() as server, UrlSource(FEW._replace(attempts=retries)) as source:
        server.refusals = [503] * 20
        with pytest.raises(StorageFailure, match="503"):
            await source.resolve(spec(f"{server.url}/f"))
        assert [method for method, *_ in server.asked] == ["HEAD", "GET"] * (1 + retries)


async def test_a_server_that_is_away_for_longer_than_attempts_is_waited_for(tmp_path):
    notes = set()
    async with file_server() as server, UrlSource(FEW._replace(seconds=3600, attempts=0, longest=0.002)) as source:
        server.files["/f"] = b"x" * 1000
        server.refusals = [503] * 20
        manifest = await source.resolve(spec(f"{server.url}/f"))
        server.refusals = [503] * 20
        await source.fetch(manifest, tmp_path, lambda step: notes.add(step.note))
    assert (tmp_path / "f").read_bytes() == b"x" * 1000
    assert notes == {"", "the server answers 503, again in 1 s"}


async def test_a_file_that_breaks_off_again_and_again_is_gone_on_with(tmp_path):
    async with file_server() as server, UrlSource(FEW._replace(attempts=0)) as source:
        server.files["/f"] = bytes(range(256)) * 8000
        server.cuts = [100_000] * 20
        await source.fetch(await source.resolve(spec(f"{server.url}/f")), tmp_path, ignore)
    assert (tmp_path / "f").read_bytes() == bytes(range(256)) * 8000
