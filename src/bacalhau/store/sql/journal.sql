-- name: journal_put_execution
insert into executions (id, state, create_time, modify_time, body)
values (:id, '', :now, :now, :body)
on conflict (id) do nothing returning id;

-- name: journal_tombstone
insert into executions (id, state, create_time, modify_time, body)
values (:id, '', :now, :now, null)
on conflict (id) do update set modify_time = excluded.modify_time where executions.body is null returning id;

-- name: journal_set_state
update executions set state = :state, modify_time = :now where id = :id and body is not null;

-- name: journal_list_executions
select body, state from executions
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
