-- Tokens by which clients send a submission again without a second job: what was sent, and the version that it made.
-- They go with their job.
create table submissions (
    namespace text not null,
    token text not null,
    digest blob not null,
    job integer not null,
    version integer not null,
    primary key (namespace, token)
) without rowid;
create index submissions_job on submissions (job);
create trigger submissions_gone after delete on jobs
begin
    delete from submissions where job = old.number;
end;
