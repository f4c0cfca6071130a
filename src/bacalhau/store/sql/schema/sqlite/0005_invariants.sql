-- Two rules that no fault of a scheduler may break: an execution begins only in a job that is open, in the version that the
-- job has; and of a job's version only one execution at a time is live in each slot. A slot is a partition, or a node where
-- the job runs on every node. Executions from before have none, so that a database that broke the rules still opens.
alter table jobs add column everywhere integer not null default 0;
update jobs set everywhere = 1 where is_open = 1 and json_extract(cast(body as text), '$.Type') in ('ops', 'daemon');
alter table executions add column slot text;
create unique index executions_slot on executions (job, job_version, slot) where is_live = 1;
