-- The oldest finished jobs that are too old, or too many. A job that still has something on a node is not over yet.

-- name: list_expired_jobs
select id from (
    select id, modify_time, row_number() over (order by modify_time) as age from (
        select id, modify_time from jobs
        where is_open = 0 and not exists (select 1 from executions e where e.job = jobs.number and e.is_live = 1)
        order by modify_time limit :limit
    ) as oldest
) as ended
where modify_time < :before or age <= (select count(*) from jobs where is_open = 0) - :keep;

-- name: list_large_versions
select v.body from job_versions v
where v.job in (select number from jobs where id in (select value from json_each(:ids))) and length(v.body) > :size;

-- name: list_inventories
select json_extract(cast(body as text), '$.Inventory.Root') as root from jobs
where root is not null and id in (select value from json_each(:ids))
union
select json_extract(cast(final as text), '$.Inventory.Root') as root from job_versions
where root is not null and job in (select number from jobs where id in (select value from json_each(:ids)));

-- name: list_open_inventories
select json_extract(cast(body as text), '$.Inventory.Root') from jobs
where is_open = 1 and json_extract(cast(body as text), '$.Inventory.Root') is not null;

-- Both within one transaction: a job that was opened again meanwhile keeps everything.

-- name: mark_forgotten
insert into forgotten (job) select number from jobs where is_open = 0 and id in (select value from json_each(:ids));

-- name: forget_jobs
delete from jobs where is_open = 0 and id in (select value from json_each(:ids));

-- What is left of forgotten jobs, at most so many rows of each kind at a time.

-- name: sweep_history
delete from history where (job, seq) in (
    select h.job, h.seq from forgotten f cross join history h on h.job = f.job limit :limit
);

-- name: sweep_versions
delete from job_versions where (job, version) in (
    select v.job, v.version from forgotten f cross join job_versions v on v.job = f.job limit :limit
);

-- The nodes that keep outputs of the executions that go next are told that nobody can ask for them any more. What the
-- first condition lets through is read; most executions keep nothing.

-- name: tell_swept
insert into outbox (node_id, type, body)
select json_extract(cast(e.body as text), '$.NodeID'), 'ForgetOutputs', cast(json_object('ExecutionID', e.id) as blob)
from executions e where e.number in (
    select e.number from forgotten f cross join executions e on e.job = f.job limit :limit
) and instr(e.body, cast('KeptUntil' as blob)) > 0
    and json_extract(cast(e.body as text), '$.ComputeState.Details.KeptUntil') <> ''
returning seq, node_id, type, body;

-- name: sweep_executions
delete from executions where number in (
    select e.number from forgotten f cross join executions e on e.job = f.job limit :limit
) returning id, case when instr(body, cast('"Proof":' as blob)) > 0
    then json_extract(cast(body as text), '$.Proof.Root') end;

-- name: sweep_forgotten
delete from forgotten where not exists (select 1 from history h where h.job = forgotten.job)
    and not exists (select 1 from job_versions v where v.job = forgotten.job)
    and not exists (select 1 from executions e where e.job = forgotten.job);

-- name: any_forgotten
select 1 from forgotten limit 1;

-- name: forget_dead_letters
delete from dead_letters where seq in (
    select seq from dead_letters where time < :before or seq <= (select max(seq) from dead_letters) - :keep order by seq limit :limit
) returning seq;

-- What never ends, or is run again and again. What is needed to decide what comes next is left out by the caller.

-- name: list_long_jobs
select id from (
    select number, id, version from jobs where is_open = 1
    union
    select number, id, version from jobs where version > 1
) as found
where (select count(*) from executions e where e.job = found.number) > :keep
    or (select max(seq) from history h where h.job = found.number) - (select min(seq) from history h where h.job = found.number) >= :keep_history
    or exists (select 1 from executions e where e.job = found.number and e.is_live = 0 and e.create_time < :before)
    or found.version - (select min(version) from job_versions v where v.job = found.number) >= :keep_versions;

-- The last event of a job stays: the next one is numbered after it.

-- name: forget_history_of_executions
delete from history where job = (select number from jobs where id = :job_id)
    and execution_id in (select value from json_each(:ids))
    and seq < (select max(seq) from history h where h.job = (select number from jobs where id = :job_id));

-- name: tell_some_executions
insert into outbox (node_id, type, body)
select json_extract(cast(e.body as text), '$.NodeID'), 'ForgetOutputs', cast(json_object('ExecutionID', e.id) as blob)
from executions e where e.is_live = 0 and e.job = (select number from jobs where id = :job_id)
    and e.id in (select value from json_each(:ids)) and instr(e.body, cast('KeptUntil' as blob)) > 0
    and json_extract(cast(e.body as text), '$.ComputeState.Details.KeptUntil') <> ''
returning seq, node_id, type, body;

-- name: forget_some_executions
delete from executions where is_live = 0 and job = (select number from jobs where id = :job_id) and id in (select value from json_each(:ids))
returning id, case when instr(body, cast('"Proof":' as blob)) > 0
    then json_extract(cast(body as text), '$.Proof.Root') end;

-- name: forget_old_history
delete from history where (job, seq) in (
    select h.job, h.seq from jobs j join history h on h.job = j.number
    where j.id = :job_id and h.seq <= (select max(seq) from history l where l.job = j.number) - :keep
    order by h.seq limit :limit
) returning seq;

-- A version that an execution ran in stays as long as that does.

-- name: forget_old_versions
delete from job_versions where job = (select number from jobs where id = :job_id)
    and version <= (select version from jobs where id = :job_id) - :keep
    and version not in (select job_version from executions where job = (select number from jobs where id = :job_id));

-- name: forget_messages_to_strangers
delete from outbox where seq in (select seq from outbox where node_id not in (select id from nodes));

-- Content of the jobs that stay, for one that is deleted with its own.

-- name: list_published_content
select distinct json_extract(cast(e.body as text), '$.PublishedResult.Params.CID') from executions e
where e.job not in (select number from jobs where id = :job)
    and lower(json_extract(cast(e.body as text), '$.PublishedResult.Type')) = 'ipfs'
    and json_extract(cast(e.body as text), '$.PublishedResult.Params.CID') is not null;

-- Content that executions took of earlier ones. Only versions that asked for reuse have keys, each with its last execution.

-- name: list_reused_content
select distinct json_extract(cast(e.body as text), '$.PublishedResult.Params.CID')
from reuse_keys r join executions e on e.number = r.execution
where instr(e.body, cast('"Reused":' as blob)) > 0
    and lower(json_extract(cast(e.body as text), '$.PublishedResult.Type')) = 'ipfs'
    and json_extract(cast(e.body as text), '$.PublishedResult.Params.CID') is not null;
