-- A row that comes and goes in one transaction: SQLite writes and flushes the page all the same. It does not where a row is
-- only given the values that it has.
-- name: put_probe
insert into schema_versions (version, name, applied_at) values (-1, '', 0);

-- name: drop_probe
delete from schema_versions where version = -1;

-- Unfinished jobs and live executions have indexes of their own, so what has ended costs nothing.
-- name: count_open_jobs
select json_extract(cast(body as text), '$.State.StateType') as state, count(*) from jobs where is_open = 1 group by state;

-- name: count_live_executions
select json_extract(cast(body as text), '$.ComputeState.StateType') as state, count(*) from executions where is_live = 1
group by state;
