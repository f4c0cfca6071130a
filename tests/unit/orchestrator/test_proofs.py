"""Proofs of executions: kept for the node that runs them, removed with their execution, and nothing else."""

import json

import pytest

from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.models.execution.proof import FileRow, Proof, Root, pack_files, pack_root
from bacalhau.models.job.job import Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.jobs.intoto import write_statements
from bacalhau.orchestrator.jobs.provenance import read_provenance
from bacalhau.orchestrator.jobs.recipe import read_recipe
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.handshake import on_request
from bacalhau.ports.bus import Delivery
from tests.unit.orchestrator.house import open_house, wanted


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as house:
        yield house


async def keep(house, execution, page, node_id=""):
    request = m.KeepPageRequest(execution_id=execution.id, job_id=execution.job_id, page=page)
    answer = await on_request(house.orch, Delivery(node_id or execution.node_id, "content.KeepPageRequest", request))
    return answer.name


async def report(house, execution, proof):
    told = m.RunResult(execution_id=execution.id, job_id=execution.job_id, proof=proof)
    await on_message(house.orch, Delivery(execution.node_id, "RunResult", told))
    await house.settle()


async def one_execution(house, name):
    await house.join("n-1")
    await submit_job(house.orch, wanted(name), force=False, warnings=())
    await house.settle()
    return (await house.live())[-1]


async def proven(house, execution, **changes):
    page = await keep(house, execution, pack_files([FileRow(-1, "stdout", 1, "00")]))
    root = Root(**({"output_pages": (page,)} | changes))
    name = await keep(house, execution, pack_root(root))
    await report(house, execution, Proof(root=name, outputs="ff"))
    return page, name


async def pieces(house, execution):
    job = (await house.orch.store.load_execution(execution.id))[1]
    return [piece async for piece in read_provenance(house.orch, job)]


async def statement(house, execution):
    job = (await house.orch.store.load_execution(execution.id))[1]
    text = b"".join([piece async for piece in write_statements(house.orch, job)])
    (line,) = text.splitlines()
    return json.loads(line)


async def test_a_statement_has_the_files_of_all_pages_and_says_when_one_cannot_be_read(house):
    execution = await one_execution(house, "one")
    rows = [FileRow(-1, f"out/{number}", 1, "00") for number in range(6)]
    pages = [await keep(house, execution, pack_files(rows[start : start + 2])) for start in (0, 2, 4)]
    image = "repo/name@sha256:" + "ab" * 32
    root = await keep(house, execution, pack_root(Root(output_pages=tuple(pages), image=image)))
    await report(house, execution, Proof(root=root, outputs="ff"))
    told = await statement(house, execution)
    assert [file["name"] for file in told["subject"]] == [row.path for row in rows]
    (dependency,) = told["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependency == {"name": "image", "uri": f"docker://{image}", "digest": {"sha256": "ab" * 32}}
    await house.orch.content.remove([pages[1]])
    told = await statement(house, execution)
    assert [file["name"] for file in told["subject"]] == ["out/0", "out/1"]
    (missing,) = told["predicate"]["runDetails"]["byproducts"]
    assert missing["name"] == "missing" and missing["annotations"]["reason"].startswith("it cannot be read")


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"EnvironmentVariables": ["A=secret", "B"]}, ("A", "B", "OWN")),
        ({"environmentvariables": ("A=secret",)}, ("A", "OWN")),
        ({"Env": {"A": "secret"}}, ("A", "OWN")),
        ({"environment": "A=secret"}, ("A", "OWN")),
        ({"Env": None}, ("OWN",)),
    ],
)
def test_a_recipe_tells_names_of_variables_and_no_values(variables, names):
    params = {"Image": "one", "Entrypoint": ["sh", "-c"], "Parameters": ("ls",), **variables}
    recipe = read_recipe(Task(engine=SpecConfig(type="docker", params=params), env={"OWN": "secret"}))
    assert recipe == (SpecConfig(type="docker", params={"Image": "one"}), ("sh", "-c", "ls"), names)


async def test_a_proof_is_read_and_goes_with_its_job(house):
    execution = await one_execution(house, "one")
    names = await proven(house, execution)
    (found,) = await pieces(house, execution)
    assert [(file.path, file.size, file.sha256) for file in found.outputs] == [("stdout", 1, "00")]
    assert await house.orch.content.missing(names) == []
    await house.orch.forgetting.forget_jobs([execution.job_id])
    assert await house.orch.content.missing(names) == list(names)


async def test_only_the_node_that_runs_an_execution_keeps_a_proof_of_it(house):
    execution = await one_execution(house, "one")
    await house.join("n-2")
    with pytest.raises(Conflict, match="n-2 does not run"):
        await keep(house, execution, b"page", "n-2")
    await report(house, execution, None)
    with pytest.raises(Conflict, match="n-1 does not run"):
        await keep(house, execution, b"page")


async def test_blocks_of_others_are_neither_read_nor_removed_for_a_proof(house):
    """A node names whatever it wants; the line of the owner decides."""
    execution, other = await one_execution(house, "one"), await one_execution(house, "other")
    theirs = await proven(house, other)
    (content,) = await house.orch.content.keep_raw([b"published content"])
    names = (content, *theirs, "no name", "")
    await proven(house, execution, output_pages=names, input_pages=names)
    (found,) = await pieces(house, execution)
    assert found.missing.startswith("it cannot be read") and not found.outputs + found.inputs
    await house.orch.forgetting.forget_jobs([execution.job_id])
    assert await house.orch.content.missing([content, *theirs]) == []


@pytest.mark.parametrize(
    ("proof", "says"),
    [
        (None, "it read no input and published nothing"),
        (Proof(error="the disk was full"), "the disk was full"),
        (Proof(error="x" * 10_000), "xxx"),
        (Proof(root="x" * 10_000), "the node reported a proof that is none"),
        (Proof(root="bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"), "it cannot be read"),
        (Proof(root="../../x"), "it cannot be read"),
        (Proof(), "its node made none"),
    ],
)
async def test_a_proof_that_is_missing_says_why_and_the_execution_completes(house, proof, says):
    execution = await one_execution(house, "one")
    await report(house, execution, proof)
    (found,) = await pieces(house, execution)
    assert says in found.missing and found.state == "Completed" and len(found.missing) < 600


async def test_an_execution_that_is_not_there_is_named(house):
    execution = await one_execution(house, "one")
    job = (await house.orch.store.load_execution(execution.id))[1]
    with pytest.raises(NotFound, match="not completed: e-none"):
        await anext(read_provenance(house.orch, job, "e-none"))
