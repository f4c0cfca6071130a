-- Each job is stored once for all its executions. Executions that were stored before hold their job in their body.
create table jobs (
    digest blob not null primary key,
    body blob not null
);
alter table executions add column job blob;
create index executions_job on executions (job);
