"""What `job explain` and `--dry-run` show of many nodes."""

import asyncio
import json

import pytest

from bacalhau.cli.frame.program import run
from bacalhau.lib.clock import now_ns
from tests.api.room import a_job, open_room
from tests.unit.orchestrator.make import make_candidate

NODES = 1050


@pytest.fixture
async def cli(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    async with open_room(tmp_path) as room:
        for number in range(NODES):
            engines = ("noop",) if number % 3 else ("docker",)
            room.orch.cluster.put(make_candidate(f"n-{number:04}", cpu=1.0, engines=engines).node, now_ns())
        monkeypatch.setenv("BACALHAU_API_HOST", room.url)

        async def call(*args):
            assert await asyncio.to_thread(run, [str(arg) for arg in args]) == 0
            return capsys.readouterr()

        yield call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(a_job(Count=30)))
    return path


async def test_all_nodes_are_counted_and_the_first_are_listed_with_a_word_how_to_see_the_others(cli, file):
    shown = (await cli("job", "explain", file)).out
    assert "\nNodes      = 350 take it now, 700 never\n" in shown
    assert "\nPlacement (the first 20 of 30)\n" in shown
    assert shown.count("yes") == 20
    again = shown.rstrip().splitlines()[-1].split()
    assert again[:5] == ["bacalhau", "job", "explain", str(file), "--limit"]
    following = (await cli(*again[1:])).out
    assert "n-0060" in following and "n-0057" in shown and "n-0057" not in following


@pytest.mark.parametrize("limit", [0, 1020])
async def test_more_nodes_than_a_server_lists_at_once_come_as_one_answer(cli, file, limit):
    told = json.loads((await cli("job", "explain", file, "--limit", limit, "--output", "json")).out)
    names = [node["NodeID"] for node in told["Nodes"]]
    assert len(names) == len(set(names)) == (limit or NODES)
    assert ("NextToken" in told) is bool(limit)


async def test_a_dry_run_lists_the_first_nodes_and_says_how_to_see_the_others(cli, file):
    told = (await cli("job", "run", "--dry-run", file)).err
    assert told.count("yes") == 20 and told.endswith("\n\tbacalhau job explain FILE --limit 0\n")
