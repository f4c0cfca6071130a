-- The hash of what decides the result of a partition, for jobs whose results may be used again, and the number of the
-- execution of it that ended last. Rows go with their version.
create table reuse_keys (
    job integer not null,
    version integer not null,
    partition text not null,
    key text not null,
    execution integer,
    primary key (job, version, partition)
) without rowid;
create index reuse_keys_key on reuse_keys (key, execution);
create trigger reuse_keys_gone after delete on job_versions
begin
    delete from reuse_keys where job = old.job and version = old.version;
end;
create trigger reuse_keys_ended after update of is_live on executions when old.is_live = 1 and new.is_live = 0
begin
    update reuse_keys set execution = new.number
    where job = new.job and version = new.job_version and partition = new.slot;
end;
create trigger reuse_keys_reused after insert on executions when new.is_live = 0
begin
    update reuse_keys set execution = new.number
    where job = new.job and version = new.job_version and partition = new.slot;
end;
