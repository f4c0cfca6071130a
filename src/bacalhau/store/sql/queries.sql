-- Jobs -----------------------------------------------------------------------------------------------------------

-- name: insert_job
insert into jobs (number, id, name, namespace, version, revision, is_open, everywhere, create_time, modify_time, body)
values (
    1 + max((select coalesce(max(number), 0) from jobs), (select coalesce(max(job), 0) from forgotten)),
    :id, :name, :namespace, :version, :revision, :is_open, :everywhere, :create_time, :modify_time, :body
);

-- name: update_job
update jobs set
    version = :version, revision = :revision, is_open = :is_open, everywhere = :everywhere, modify_time = :modify_time,
    body = :body
where id = :id and revision = :revision - 1;

-- name: find_job
select body from (
    select 1 as rank, body from jobs where name = :text and namespace = :namespace
    union all
    select 2 as rank, body from jobs where id = :text
) as found order by rank limit 1;

-- name: find_jobs_by_prefix
select body from jobs where id >= :low and id < :high limit 2;

-- A list is read in two steps: the numbers of its rows in their order, as one JSON text, then the rows, some at a time.

-- name: list_jobs
select json_group_array(number) from (select number from jobs where {where} order by {order} limit :limit) as ordered;

-- name: list_open_jobs
select json_group_array(number) from (select number from jobs where is_open = 1 order by create_time) as ordered;

-- name: load_jobs
select group_concat(body) from (
    select j.body from json_each(:numbers) n cross join jobs j on j.number = n.value order by n.key
) as ordered;

-- name: get_job_version
select case when v.version = j.version then j.body else v.final end
from jobs j join job_versions v on v.job = j.number
where j.id = :job_id and v.version = case when :version = 0 then j.version else :version end;

-- name: list_job_versions
select case when v.version = j.version then j.body else v.final end
from jobs j join job_versions v on v.job = j.number
where j.id = :job_id order by v.version;

-- name: note_reader
insert or ignore into lineage (source, source_version, reader, reader_version)
select :source, :source_version, number, :version from jobs where id = :id;

-- name: note_reuse_key
insert or ignore into reuse_keys (job, version, partition, key)
select number, :version, :partition, :key from jobs where id = :id;

-- The executions that ended last for hashes, the newest first.

-- name: find_results
select r.key, e.body from json_each(:keys) k cross join reuse_keys r on r.key = k.value
join executions e on e.number = r.execution join jobs j on j.number = r.job
where r.execution is not null order by r.execution desc;

-- name: list_readers
select j.id, l.reader_version, l.source_version, j.name, j.namespace
from lineage l join jobs j on j.number = l.reader
where l.source = :source order by j.create_time, l.reader_version limit :limit;

-- Submissions ----------------------------------------------------------------------------------------------------

-- name: insert_submission
insert into submissions (namespace, token, digest, job, version)
select :namespace, :token, :digest, number, :version from jobs where id = :id;

-- name: find_submission
select s.digest, j.id, s.version from submissions s join jobs j on j.number = s.job
where s.namespace = :namespace and s.token = :token;

-- Executions -----------------------------------------------------------------------------------------------------

-- name: insert_execution
insert into executions (id, job, job_version, revision, is_live, create_time, slot, body)
select
    :id, number, :job_version, :revision, :is_live, :create_time,
    case when everywhere then :node_id else :partition_index end, :body
from jobs where id = :job_id and (not :is_live or (version = :job_version and is_open = 1));

-- name: update_execution
update executions set revision = :revision, job_version = :job_version, is_live = :is_live, body = :body
where id = :id and revision = :revision - 1;

-- name: load_execution
select e.body, j.body from executions e join jobs j on j.number = e.job where e.id = :id;

-- name: load_views
select
    (select group_concat(body) from jobs where id in (select value from json_each(:ids))),
    (select json_group_array(number) from (
        select number from executions
        where job in (select number from jobs where id in (select value from json_each(:ids))) order by create_time, id
    ) as ordered);

-- name: list_executions
select json_group_array(number) from (
    select e.number from executions e
    where e.job = (select number from jobs where id = :job_id)
        and (:version = -1 or e.job_version = case
            when :version = 0 then (select version from jobs where id = :job_id) else :version end)
        and {where}
    order by {order} limit :limit
) as ordered;

-- name: list_live_executions
select json_group_array(number) from (select number from executions where is_live = 1 order by create_time) as ordered;

-- name: load_executions
select group_concat(body) from (
    select e.body from json_each(:numbers) n cross join executions e on e.number = n.value order by n.key
) as ordered;

-- name: load_first_states
select group_concat(v.body) from job_versions v
where v.job = (select number from jobs where id = :job_id) and v.version in (select value from json_each(:versions));

-- name: find_executions
select
    exists (select 1 from executions e where e.job = j.number and e.id >= :low and e.id < :high),
    exists (select 1 from executions e where e.job = j.number and e.id >= :low and e.id < :high and e.is_live = 1)
from jobs j where j.id = :job_id;

-- History --------------------------------------------------------------------------------------------------------

-- name: insert_history
-- `entries` is a JSON list of [version, execution id, event].
insert into history (job, seq, job_version, execution_id, time, event)
select
    j.number, coalesce((select max(seq) from history where job = j.number), 0) + 1 + n.key,
    json_extract(n.value, '$[0]'), json_extract(n.value, '$[1]'), :time, cast(json_extract(n.value, '$[2]') as blob)
from jobs j cross join json_each(:entries) n where j.id = :job_id;

-- name: list_history
select h.seq, h.job_version, h.execution_id, h.time, h.event from jobs j join history h on h.job = j.number
where j.id = :job_id and h.seq > :after_seq and h.time >= :since
    and (:job_version = -1 or h.job_version = case when :job_version = 0 then j.version else :job_version end)
    and (:level = '' or :level = case when h.execution_id = '' then 'JobLevel' else 'ExecutionLevel' end)
    and (:execution_id = '' or substr(h.execution_id, 1, length(:execution_id)) = :execution_id)
order by h.seq limit :limit;

-- name: list_events
select h.time, h.job, h.seq, j.namespace, j.id, h.job_version, h.execution_id, h.event
from history h join jobs j on j.number = h.job
where (h.time, h.job, h.seq) > (:time, :job, :seq) order by h.time, h.job, h.seq limit :limit;

-- Outbox, dead letters -------------------------------------------------------------------------------------------

-- name: insert_message
insert into outbox (node_id, type, body) values (:node_id, :type, :body) returning seq;

-- name: list_messages
select seq, node_id, type, body from outbox where node_id = :node_id and seq > :after_seq order by seq limit :limit;

-- name: delete_messages
delete from outbox where seq in (select value from json_each(:seqs));

-- name: insert_dead_letter
insert into dead_letters (source, reason, body, time) values (:source, :reason, :body, :time);

-- Nodes ----------------------------------------------------------------------------------------------------------

-- name: put_node
insert into nodes (id, body, secret) values (:id, :body, :secret)
on conflict (id) do update set
    body = excluded.body,
    secret = case when excluded.secret = '' then nodes.secret else excluded.secret end;

-- name: list_nodes
select body from nodes order by id;

-- name: get_node
select body from nodes where id = :id;

-- name: get_node_secret
select secret from nodes where id = :id;

-- name: delete_node
delete from nodes where id = :id;

-- name: delete_messages_of_node
delete from outbox where node_id = :id;
