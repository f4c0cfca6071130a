"""What was reported and acknowledged leaves the journal and the disk, or stays until it can."""

import os
from functools import partial

from bacalhau.compute.core import ComputeNode, PendingReport, Plugins
from bacalhau.compute.messages.outbox import drop_reports, report
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.resources import Resources
from bacalhau.models.wire.messages import RunResult
from bacalhau.store.journal import NodeJournal


def delivered(*execution_ids):
    return [PendingReport(seq, "RunResult", RunResult(execution_id=i), i) for seq, i in enumerate(execution_ids, 1)]


async def forget(node):
    return await node.reports.settled.forget(partial(drop_reports, node))


async def test_what_the_journal_cannot_forget_it_forgets_later(tmp_path):
    async with crew() as people:
        async with NodeJournal(tmp_path / "journal.db") as journal:
            node = ComputeNode("n-1", tmp_path, journal, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        told = node.reports.settled.items = delivered("e-1", "e-2")
        assert not await forget(node)
        assert node.reports.settled.items == told


async def test_files_that_cannot_be_removed_do_not_end_the_node(tmp_path):
    (tmp_path / "e-2" / "result").mkdir(parents=True)
    async with crew() as people, NodeJournal(tmp_path / "journal.db") as journal:
        node = ComputeNode("n-1", tmp_path, journal, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        node.reports.settled.items = delivered("e" * 300, "e-2")
        assert await forget(node)
    assert "e-2" not in os.listdir(tmp_path)


async def test_folders_nested_without_end_do_not_end_the_node(tmp_path):
    """A task may write what it likes."""
    result = tmp_path / "e-1" / "result"
    result.mkdir(parents=True)
    inner = os.open(result, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    async with crew() as people, NodeJournal(tmp_path / "journal.db") as journal:
        node = ComputeNode("n-1", tmp_path, journal, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        node.reports.settled.items = delivered("e-1")
        assert await forget(node)
    assert "e-1" not in os.listdir(tmp_path)


async def test_a_report_that_cannot_be_kept_is_told_once_and_kept_as_soon_as_it_can(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("bacalhau.compute.messages.outbox.JOURNAL_PAUSE", 0.01)
    async with crew() as people, NodeJournal(tmp_path / "journal.db") as journal:
        node = ComputeNode("n-1", tmp_path, journal, None, Plugins({}, {}, {}), Capacity(Resources()), people)
        put, failures = journal.put_report, iter(range(3))

        async def full_for_a_while(*report):
            if next(failures, None) is not None:
                raise Unavailable("the disk is full")
            return await put(*report)

        monkeypatch.setattr(journal, "put_report", full_for_a_while)
        await report(node, "e-1", "", RunResult(execution_id="e-1"))
        assert [r.execution_id for r in node.reports.unsettled()] == ["e-1"]
    assert caplog.text.count("cannot be kept yet: the disk is full") == 1
