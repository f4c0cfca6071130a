"""Opening a database file: errors in our words, scripts, migrations."""

import sqlite3

import pytest

from bacalhau.lib.errors import Conflict, Unavailable
from bacalhau.store.sqlite import LARGE, compact, connect, migrate, owned, split_script, translated


def test_a_script_is_split_also_around_triggers():
    script = (
        "create table a (x); -- note\ncreate trigger t after insert on a\nbegin\n    delete from a;\n    select"
        " 1;\nend;\nselect 2;\n"
    )
    assert [part.split()[:2] for part in split_script(script)] == [
        ["create", "table"],
        ["create", "trigger"],
        ["select", "2;"],
    ]


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "store.db"
    path.write_text("plain text" * 1000)
    with pytest.raises(Unavailable, match=r"^file is not a database: .*store.db") as caught:
        connect(path)
    assert not caught.value.retryable
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"^Not a directory"), owned(tmp_path / "file" / "data" / "store.db"):
        pass


def test_a_wrong_statement_stays_what_it_is(tmp_path):
    connection = connect(tmp_path / "store.db")
    with pytest.raises(sqlite3.OperationalError), translated(tmp_path):
        connection.execute("select x from nowhere")
    connection.close()


def test_secrets_are_for_the_owner_only(tmp_path):
    connection = connect(tmp_path / "store.db")
    connection.execute("create table t (x)")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    connection.close()


def test_migrations_are_applied_once_and_a_newer_database_is_refused(tmp_path):
    path = tmp_path / "store.db"
    connection = connect(path)
    migrate(connection, "sqlite", path)
    migrate(connection, "sqlite", path)
    applied = connection.execute("select version, name from schema_versions order by version").fetchall()
    assert applied[0] == (1, "0001_initial.sql")
    assert [version for version, _ in applied] == list(range(1, len(applied) + 1))
    connection.execute("insert into schema_versions values (99, '0099_later.sql', 0)")
    with pytest.raises(Conflict, match=rf"written by a newer version .*\(schema 99, known here: {len(applied)}\)"):
        migrate(connection, "sqlite", path)
    connection.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "store.db"
    connection = connect(path)
    connection.execute("create table nodes (x)")
    with pytest.raises(sqlite3.OperationalError, match="nodes already exists"):
        migrate(connection, "sqlite", path)
    assert connection.execute("select name from sqlite_schema where name = 'jobs'").fetchall() == []
    assert connection.execute("select count(*) from schema_versions").fetchone() == (0,)
    connection.close()


def test_a_large_file_that_is_mostly_free_is_made_small_again(tmp_path):
    path = tmp_path / "store.db"
    connection = connect(path)
    connection.execute("create table t (x)")
    connection.executemany("insert into t values (zeroblob(1000000))", [()] * (3 * LARGE // 1_000_000))
    connection.execute("delete from t where rowid % 4 = 0")
    assert not compact(connection, path)
    connection.execute("delete from t where rowid > 1")
    assert compact(connection, path)
    connection.execute("pragma wal_checkpoint(truncate)")
    assert path.stat().st_size < 2_000_000
    assert not compact(connection, path)
    connection.close()
