"""The client without `await`: the same verbs, in threads, notebooks and forked processes."""

import asyncio
import inspect
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import bacalhau
from bacalhau import AsyncClient, Client
from bacalhau.lib.errors import BacalhauError, BadRequest, StorageFailure
from tests.support.scripted_api import answer, scripted_api

VERSION = {"Major": "1", "Minor": "9", "GitVersion": "v1.9.3"}
EVENT = {"SeqNum": 1, "Type": "JobLevel", "JobID": "j-1", "Event": {"Message": "m", "Topic": "t"}, "Time": ""}
RESULT = {"Type": "ipfs", "Params": {"CID": "QmcJtnynYVgs6JBrxNbPCZr3RWQZ77Xj6PTfkEQV3bpcSa"}}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The URL of a server in a thread of its own; `asked` is set when it was asked for what it never answers."""
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    loop, asked = asyncio.new_event_loop(), threading.Event()
    up, stop = threading.Event(), asyncio.Event()
    found = []

    async def handle(request):
        known = {"version": VERSION, "history": {"Items": [EVENT], "NextToken": ""}, "results": {"Items": [RESULT]}}
        name = request.path.rpartition("/")[2]
        if name == "j-never":
            asked.set()
            await asyncio.Event().wait()
        if "ipfs" in request.path:
            return answer({}, 404)
        return answer(known.get(name, {"Job": {"ID": "j-1", "State": {"StateType": "Completed"}}}))

    async def serve():
        async with scripted_api(handle) as url:
            found.append(url)
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(10)
    yield found[0], asked
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def verbs(kind):
    found = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: [(p.name, p.default, p.kind) for p in inspect.signature(method).parameters.values()]
        for name, method in found
        if not name.startswith("_") and name not in ("close", "aclose")
    }


def test_a_client_that_cannot_be_opened_leaves_no_thread_behind():
    before = threading.active_count()
    with pytest.raises(BadRequest, match="not an URL of an API"):
        Client("ftp://127.0.0.1")
    assert threading.active_count() == before


def test_both_clients_have_the_same_verbs_with_the_same_parameters():
    assert verbs(Client) == verbs(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)
    undocumented = [name for name in verbs(Client) if not getattr(Client, name).__doc__]
    assert undocumented == []


def test_every_error_that_a_program_may_catch_is_named_by_the_package():
    kinds = [kind for kind in map(bacalhau.__getattr__, bacalhau.__all__) if issubclass(kind, Exception)]
    assert len(kinds) == 11 and all(issubclass(kind, BacalhauError) for kind in kinds)
    assert set(bacalhau.__all__) <= set(dir(bacalhau))


async def test_it_works_where_a_loop_is_running_as_in_a_notebook(server):
    with Client(server[0]) as client:
        assert client.version().git_version == "v1.9.3"


def test_threads_share_one_client(server):
    with Client(server[0]) as client, ThreadPoolExecutor(8) as pool:
        assert {v.git_version for v in pool.map(lambda _: client.version(), range(40))} == {"v1.9.3"}


def test_closing_ends_what_another_thread_waits_for(server):
    url, asked = server
    with ThreadPoolExecutor(1) as pool:
        client = Client(url)
        waiting = pool.submit(client.get_job, "j-never")
        assert asked.wait(10)
        client.close()
        with pytest.raises(RuntimeError, match="the client was closed while it waited for an answer"):
            waiting.result(10)
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed: open another one"):
        client.version()


def test_an_iterator_outlives_its_client_in_silence(server):
    with Client(server[0]) as client:
        history = client.iter_history("j-1")
        assert next(history).event.message == "m"
    history.close()


def test_a_function_that_is_called_back_cannot_use_the_client_and_may_raise_anything(server):
    with Client(server[0]) as client:
        with pytest.raises(RuntimeError, match="a function that the client calls cannot use the client"):
            client.wait("j-1", on_event=lambda event: client.version())
        with pytest.raises(SystemExit):
            client.wait("j-1", on_event=lambda event: exit())
        assert client.version().git_version == "v1.9.3"


def forked(client, answers):
    try:
        client.version()
    except RuntimeError as e:
        answers.put(str(e))
    client.close()


def test_a_forked_process_is_told_to_open_its_own(server):
    context = multiprocessing.get_context("fork")
    with Client(server[0]) as client:
        answers = context.SimpleQueue()
        child = context.Process(target=forked, args=(client, answers))
        child.start()
        child.join(10)
        assert child.exitcode == 0
        assert answers.get() == "the client was opened by another process: open one in each process"
        assert client.version().git_version == "v1.9.3"


def test_get_makes_its_folder_and_says_where_it_cannot(server, tmp_path):
    (tmp_path / "file").touch()
    with Client(server[0]) as client:
        with pytest.raises(BadRequest, match=r"output dir is no directory: .*\nname a directory"):
            client.get("j-1", tmp_path / "file")
        with pytest.raises(StorageFailure, match=r"cannot write the results to .*: not a directory"):
            client.get("j-1", tmp_path / "file" / "below")
        with pytest.raises(BacalhauError):
            client.get("j-1", tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()
