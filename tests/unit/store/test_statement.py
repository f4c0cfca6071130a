"""The named statements: how they are read, that all are sound SQL, and that those on the hot path never walk a whole
table.
"""

import re

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.ports.store import ExecutionPage, JobQuery, Place
from bacalhau.store.executions import list_executions
from bacalhau.store.jobs import list_jobs
from bacalhau.store.sqlite import connect, migrate
from bacalhau.store.statement import catalogue, parse_queries


def test_queries_are_found_by_name():
    text = "-- a heading\n\n-- name: one\nselect 1;\n-- about two\n\n-- name: two\nselect\n    2;\n"
    assert parse_queries(text) == {"one": "select 1", "two": "select\n    2"}


@pytest.fixture(params=["sqlite", "journal", "cache"])
def schema(request, tmp_path):
    path = tmp_path / "database.db"
    connection = connect(path)
    migrate(connection, request.param, path)
    yield request.param, connection
    connection.close()


def plan(connection, sql):
    """What the database would do, a line a step."""
    params = dict.fromkeys(re.findall(r":(\w+)", sql))
    return [row[3] for row in connection.execute(f"explain query plan {sql}", params)]


def statements(name):
    """Those of a node's databases begin with the database's name."""

    def database(key):
        return next((own for own in ("journal", "cache") if key.startswith(f"{own}_")), "sqlite")

    return {key: sql.format(where="true", order="id") for key, sql in catalogue().items() if database(key) == name}


def test_every_statement_is_sound(schema):
    name, connection = schema
    found = statements(name)
    assert len(found) > 7
    for sql in found.values():
        plan(connection, sql)


GROWING = ("jobs", "j", "job_versions", "v", "executions", "e", "history", "h", "outbox", "reports", "kept")
WHOLE = {
    "list_jobs",
    "list_open_jobs",
    "count_open_jobs",
    "list_expired_jobs",
    "list_long_jobs",
    "list_live_executions",
    "count_live_executions",
    "list_published_content",
    "list_reused_content",
    "list_open_inventories",
    "forget_messages_to_strangers",
    "journal_prune",
    "journal_prune_jobs",
    "cache_list_sizes",
}  # by their nature


def test_no_statement_walks_a_growing_table(schema):
    name, connection = schema
    for key, sql in statements(name).items():
        walked = {step.split()[1] for step in plan(connection, sql) if step.startswith("SCAN")}
        assert key in WHOLE or walked.isdisjoint(GROWING), (key, walked)


def test_open_and_live_ones_are_found_without_the_finished(schema):
    name, connection = schema
    if name == "sqlite":
        for key in ("list_open_jobs", "count_open_jobs"):
            assert "SCAN jobs USING INDEX jobs_open" in plan(connection, catalogue()[key])
        assert {"SCAN jobs USING INDEX jobs_open", "SCAN jobs USING INDEX jobs_again"} <= set(
            plan(connection, catalogue()["list_long_jobs"])
        )
        for key in ("list_live_executions", "count_live_executions"):
            assert "SCAN executions USING INDEX executions_live" in plan(connection, catalogue()[key])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("order_by", "namespace"),
    [("", ""), ("created_at", "lab"), ("modified_at", "*"), ("modified_at", "lab"), ("id", "")],
)
def test_lists_are_read_in_index_order(schema, order_by, reverse, namespace):
    name, connection = schema
    if name == "sqlite":
        for after in (None, Place(7, "j-7")):
            sql, _ = list_jobs(JobQuery(namespace, order_by, reverse, 10, after))
            steps = plan(connection, sql)
            assert len(steps) == 3 and "jobs USING" in steps[1] and "INDEX" in steps[1], steps
            assert after is None or (steps[1].startswith("SEARCH") and ">" in steps[1].replace("<", ">")), steps


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("version", [-1, 0, 3])
def test_pages_of_executions_are_read_in_index_order(schema, version, reverse):
    name, connection = schema
    if name == "sqlite":
        for after in (None, Place(7, "e-7")):
            sql, _ = list_executions("j-1", version, ExecutionPage("created_at", reverse, 10, after))
            steps = plan(connection, sql)
            assert any("e USING COVERING INDEX executions_page (job=?" in step for step in steps), steps
            assert after is None or any("create_time,id)" in step for step in steps), steps
            assert not any("TEMP B-TREE" in step for step in steps), steps


def test_an_unknown_order_is_refused():
    with pytest.raises(BadRequest, match="cannot order jobs by colour"):
        list_jobs(JobQuery(order_by="colour"))
