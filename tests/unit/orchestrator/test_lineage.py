"""Lineage of jobs: kept with the versions that read, and gone with them."""

import sqlite3

import pytest
from msgspec.structs import replace

from bacalhau.lib.errors import NotFound
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.orchestrator.jobs.lineage import find_lineage
from bacalhau.orchestrator.jobs.versions import rerun_job
from tests.unit.orchestrator.test_taking import CID, finish, made, opened, submit


async def chain(house):
    """Jobs a and b of content, c of both, d of c."""
    ids = {}
    content = InputSource(source=SpecConfig(type="ipfs", params={"CID": CID}), target="/data")
    for name, inputs in (("a", []), ("b", ["a"]), ("c", ["a", "b"]), ("d", ["c"])):
        job = made(name, inputs=[{"Job": source} for source in inputs])
        if name == "a":
            job = replace(job, tasks=(replace(job.task, input_sources=(content,)),))
        ids[name] = await submit(house, job)
        await finish(house, ids[name])
    return ids


async def test_it_leads_from_job_to_job_to_objects_and_to_the_readers(tmp_path):
    async with opened(tmp_path) as house:
        ids = await chain(house)
        found = await find_lineage(house.orch, "c", "default")
        assert [(job.name, job.job_version, job.state) for job in found.jobs] == [
            ("c", 1, "Completed"),
            ("a", 1, "Completed"),
            ("b", 1, "Completed"),
        ]
        first, second = found.jobs[0].inputs
        assert (first.target, first.source.params) == ("/in/0", {"Job": "a"})
        assert [(r.job_id, r.source.params) for r in first.results] == [(ids["a"], {"CID": CID})]
        assert [r.job_id for r in second.results] == [ids["b"]]
        assert [item.source.params for item in found.jobs[1].inputs] == [{"CID": CID}]
        assert [(r.job_id, r.job_version, r.name) for r in found.readers] == [(ids["d"], 1, "d")]
        readers = (await find_lineage(house.orch, ids["a"][:12], "")).readers
        assert [r.name for r in readers] == ["b", "c"]
        await rerun_job(house.orch, ids["d"], "default", 0, "")
        await finish(house, ids["d"])
        found = await find_lineage(house.orch, "c", "default")
        assert [(r.name, r.job_version, r.source_version) for r in found.readers] == [("d", 1, 1), ("d", 2, 1)]


async def test_it_is_kept_over_a_restart_and_goes_with_the_reader(tmp_path):
    async with opened(tmp_path) as house:
        ids = await chain(house)
        before = await find_lineage(house.orch, "c", "default")
    async with opened(tmp_path) as house:
        assert await find_lineage(house.orch, "c", "default") == before
        await house.orch.forgetting.forget_jobs([ids["d"]])
        assert (await find_lineage(house.orch, "c", "default")).readers == ()
        await house.orch.forgetting.forget_jobs([ids["a"]])
        found = await find_lineage(house.orch, "c", "default")
        assert [(job.job_id, job.is_forgotten) for job in found.jobs] == [
            (ids["c"], False),
            (ids["a"], True),
            (ids["b"], False),
        ]
        with pytest.raises(NotFound):
            await find_lineage(house.orch, "a", "default")
        with pytest.raises(NotFound, match="job version 7 not found"):
            await find_lineage(house.orch, "c", "default", 7)
        await house.orch.forgetting.forget_jobs([ids["b"], ids["c"]])
    rows = sqlite3.connect(tmp_path / "state.db").execute("select count(*) from lineage").fetchall()
    assert rows == [(0,)]
