-- name: journal_put_execution
insert into executions (id, state, create_time, modify_time, body, job)
values (:id, '', :now, :now, :body, :job)
on conflict (id) do nothing returning id;

-- name: journal_put_job
insert into jobs (digest, body) select :digest, :body
where exists (select 1 from executions where id = :execution_id and job = :digest)
on conflict (digest) do nothing;

-- name: journal_tombstone
insert into executions (id, state, create_time, modify_time, body)
values (:id, '', :now, :now, null)
on conflict (id) do update set modify_time = excluded.modify_time where executions.body is null returning id;

-- name: journal_set_state
update executions set state = :state, modify_time = :now where id = :id and body is not null;

-- name: journal_count_interruptions
update executions set interruptions = interruptions + :by
where body is not null and state in (select value from json_each(:states));

-- name: journal_list_executions
-- A job comes with the first of its executions.
select
    executions.body,
    executions.state,
    executions.job,
    case
        when row_number() over (partition by executions.job order by executions.create_time, executions.id) = 1
            then (select jobs.body from jobs where jobs.digest = executions.job)
    end,
    executions.interruptions
from executions
where executions.body is not null and executions.state in (select value from json_each(:states))
order by executions.create_time, executions.id;

-- name: journal_list_ids
select id from executions
where body is not null and state in (select value from json_each(:states))
order by create_time, id;

-- name: journal_put_report
insert into reports (execution_id, type, body) values (:execution_id, :type, :body) returning seq;

-- name: journal_list_reports
select seq, execution_id, type, body from reports where seq > :after order by seq limit :limit;

-- name: journal_delete_reports
delete from reports where seq in (select value from json_each(:seqs));

-- name: journal_prune
delete from executions where id in (
    select id from (
        select id, modify_time, row_number() over (order by modify_time desc, id) as age
        from executions
        where (body is null or state in (select value from json_each(:states)))
            and not exists (select 1 from reports where reports.execution_id = executions.id)
    ) as finished where modify_time < :before or age > :keep
) returning id;

-- name: journal_prune_jobs
delete from jobs where not exists (select 1 from executions where executions.job = jobs.digest);
