"""The library as a program meets it: every example of its docstrings, and the handles, against a whole system."""

import asyncio
import doctest
import inspect
import threading
from contextlib import contextmanager, suppress
from functools import partial

import pytest

import bacalhau
from bacalhau import AsyncClient, AsyncJob, BadRequest, Client, Conflict, Job, NotFound
from bacalhau.app.serve import serve
from bacalhau.config.load import load_config

KEYS = {
    "API.Port": 0,
    "Orchestrator.Port": 0,
    "Orchestrator.Enabled": True,
    "Compute.Enabled": True,
    "Compute.AllocatedCapacity.CPU": "8",
}
TASK = {"Name": "main", "Engine": {"Type": "noop", "Params": {"Stdout": "good morning"}}, "Publisher": {"Type": "ipfs"}}
LONG = TASK | {"Engine": {"Type": "noop", "Params": {"Sleep": 1000}}}
ENDLESS = {"Type": "batch", "Tasks": [LONG]}
SLEEPER = {"Name": "sleeper", "Type": "batch", "Labels": {"kind": "example"}, "Tasks": [TASK]}


@contextmanager
def open_system(folder):
    """A whole system on a loop of its own: its URL and the id of its node."""
    up, found, ends = threading.Event(), [], []

    async def run():
        config, stop = load_config([], {}, KEYS | {"DataDir": str(folder)}), asyncio.Event()
        ends.append(partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set))
        async with serve(config) as served:
            await served.node.joined.wait(10)
            found.extend((served.api_url, served.orchestrator.node_id))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert up.wait(30)
        yield found
    finally:
        ends[0]()
        thread.join()


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with open_system(tmp_path_factory.mktemp("system")) as found:
        yield found


@pytest.fixture
def client(system):
    with Client(system[0]) as client:
        yield client


def examples():
    """The examples of all public names, each once."""
    for kind in (Client, Job):
        for name, member in inspect.getmembers(kind):
            doc = inspect.getdoc(member.fget if isinstance(member, property) else member) or ""
            if (not name.startswith("_") or name == "__init__") and ">>>" in doc:
                yield f"{kind.__name__}.{name}", doc
    yield "Job", inspect.getdoc(Job)


@pytest.mark.parametrize(("name", "text"), list(examples()), ids=[name for name, _ in examples()])
def test_every_example_does_what_it_says(name, text, system, tmp_path):
    url, node_id = system
    known = {
        "Client": Client,
        "url": url,
        "node_id": node_id,
        "sleeper": SLEEPER,
        "endless": ENDLESS,
        "folder": tmp_path,
    }
    told = []
    with Client(url, namespace=name.lower().replace(".", "-").strip("_")) as client:
        example = doctest.DocTestParser().get_doctest(text, known | {"client": client}, name, name, 0)
        doctest.DocTestRunner().run(example, out=told.append)
        for job in client.iter_jobs():
            with suppress(Conflict):  # those that have ended
                client.stop(job.id)
    assert "".join(told) == ""


async def test_the_handle_of_the_asynchronous_client_is_awaited_alike(system, tmp_path):
    async with AsyncClient(system[0]) as client:
        job = await client.run(SLEEPER, force=True)
        assert (await job.wait(60)) is job and job.state == "Completed"
        assert [text async for text in job.logs()] == [(1, "good morning")]
        assert [e.state.label for e in await job.executions] == ["Completed"]
        assert [result.type for result in await job.results()] == ["ipfs"]
        assert ((await job.get(tmp_path / "new")) / "stdout").read_text() == "good morning"
        with pytest.raises(Conflict):
            await job.stop()
        assert (await job.explain()).node_counts
        assert repr(await job.refresh()) == f"<AsyncJob {job.id} Completed>"


def public(kind):
    return {
        name: [(p.name, p.default, p.kind) for p in inspect.signature(member).parameters.values()]
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_handles_have_the_same_verbs():
    assert public(Job) == public(AsyncJob)
    assert isinstance(Job.executions, property) and isinstance(AsyncJob.executions, property)


def test_every_public_name_is_exported_with_its_words():
    for name in bacalhau.__all__:
        assert inspect.getdoc(getattr(bacalhau, name)), name
    assert bacalhau.__version__ and "__version__" in dir(bacalhau)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        bacalhau.nothing  # noqa: B018


def test_many_jobs_at_once_no_more_than_that_and_each_as_it_ends(client):
    taken = []

    def jobs():
        for number in range(1000):
            taken.append(number)
            yield SLEEPER | {"Name": f"many-{number}"}

    handles = client.submit_many(jobs(), at_once=2)
    assert len({next(handles).id for _ in range(5)}) == 5
    handles.close()
    assert len(taken) <= 5 + 2
    with pytest.raises(BadRequest, match="at_once is 0, but must be at least 1"):
        next(client.submit_many([SLEEPER], at_once=0))


def test_an_item_stays_one_word_of_the_command(client):
    found = client.map("ubuntu", "echo {} 'a b'", ["x y; rm"], at_once=1, queue_timeout=1, timeout=2)
    (job,) = found
    assert job.spec.task.engine.params["Parameters"] == ["echo", "x y; rm", "a b"]
    assert job.state == "Failed"


def test_what_a_job_cannot_be_is_refused_with_a_cure(client):
    with pytest.raises(TypeError, match="unknown options of a job: cpus; there are "):
        client.docker("ubuntu", cpus=1)
    with pytest.raises(BadRequest, match=r"the command \"echo 'x\" cannot be read: No closing quotation"):
        client.docker("ubuntu", "echo 'x")
    with pytest.raises(BadRequest, match="unknown engine type 'wasm': this system knows docker, noop"):
        client.run(client.wasm("https://example.com/m.wasm"))
    with pytest.raises(NotFound, match="job not found: j-none"):
        client.job("j-none").wait()


def test_a_builder_says_what_the_command_line_says(client):
    job = client.docker(
        "ubuntu",
        ["a", "b"],
        inputs=["s3://bucket/key:/in"],
        outputs=["more:/more"],
        publisher="s3://results/{executionID}",
        env={"A": "1"},
        labels={"l": "v"},
        cpu=2,
        memory="1Gb",
        gpu=1,
        constraints="zone=a",
        domains=["x.org"],
        timeout=7,
        type="ops",
    )
    task = job.task
    assert (job.type, job.count, job.labels) == ("ops", None, {"l": "v"})
    assert [i.target for i in task.input_sources] == ["/in"] and task.publisher.type == "s3"
    assert [r.name for r in task.result_paths] == ["outputs", "more"]
    assert (task.resources.cpu, task.resources.memory, task.resources.gpu) == ("2", "1Gb", "1")
    assert (task.network.type, task.network.domains, task.timeouts.total_timeout) == ("HTTP", ("x.org",), 7)
    # No node has such a label; in the first seconds of a system one may still come.
    assert client.explain(job).state in ("Failed", "Queued")


def test_notebooks_show_tables_and_no_markup_of_others(client):
    job = client.run(SLEEPER, force=True).wait(60)
    assert f"<td>{job.id}</td>" in job._repr_html_() and "<td>Completed</td>" in job._repr_html_()
    assert "<th>partition</th>" in job.executions._repr_html_()
    assert "&quot;CID&quot;" in job.results()._repr_html_()
