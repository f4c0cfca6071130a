-- A row that comes and goes in one transaction: SQLite writes and flushes the page all the same. It does not where a row is
-- only given the values that it has.
-- name: put_probe
insert into schema_versions (version, name, applied_at) values (-1, '', 0);

-- name: drop_probe
delete from schema_versions where version = -1;
