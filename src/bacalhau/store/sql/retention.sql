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

-- All within one transaction: a job that was opened again meanwhile keeps everything.

-- name: forget_history
delete from history where job in (select number from jobs where is_open = 0 and id in (select value from json_each(:ids)));

-- name: forget_executions
delete from executions where job in (select number from jobs where is_open = 0 and id in (select value from json_each(:ids))) returning id;

-- name: forget_versions
delete from job_versions where job in (select number from jobs where is_open = 0 and id in (select value from json_each(:ids)));

-- name: forget_jobs
delete from jobs where is_open = 0 and id in (select value from json_each(:ids));

-- name: forget_dead_letters
delete from dead_letters where seq in (
    select seq from dead_letters where time < :before or seq <= (select max(seq) from dead_letters) - :keep order by seq limit :limit
) returning seq;
