"""Previews of how many partitions the inputs of a job make."""

from bacalhau.orchestrator.jobs.explain import explain_new, explain_stored
from tests.unit.orchestrator.test_inventory import Box, counting, opened, placed, reading, submit


async def test_a_preview_tells_how_many_partitions_the_inputs_make_and_when_the_listing_was_cut(tmp_path, monkeypatch):
    box = Box()
    async with opened(tmp_path, box) as house:
        whole = await explain_new(house.orch, counting("a", 30), ())
        job, _ = await placed(house, await submit(house, counting("a", 30)))
        stored = await explain_stored(house.orch, job.id, "default")
        plain = await explain_new(house.orch, reading("b"), ())
        monkeypatch.setattr("bacalhau.orchestrator.evaluation.preview.MOST_OBJECTS", 4)
        cut = await explain_new(house.orch, counting("a", 30), ())
        monkeypatch.setattr("bacalhau.orchestrator.evaluation.inventory.MAX_COUNT", 3)
        wrong = await explain_new(house.orch, counting("c", 1), ())
    assert (whole.count, whole.count_is_cut, whole.shares.partitions, whole.place_count) == (4, False, 4, 4)
    assert job.count == stored.count == stored.shares.partitions == 4
    assert (plain.count, plain.shares.partitions) == (0, 3)
    assert (cut.count, cut.count_is_cut, cut.shares.partitions) == (2, True, 2)
    assert [each.is_shared for each in whole.inputs] == [True, True] and all(each.is_cut for each in cut.inputs)
    assert "make 6 partitions of 1 B, more than 3" in wrong.inputs[1].error and (wrong.count, wrong.shares) == (0, None)
