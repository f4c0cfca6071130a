-- The versions of jobs that take results of others, by whose results they take. They go with the version that takes.
create table lineage (
    source text not null,
    source_version integer not null,
    reader integer not null,
    reader_version integer not null,
    primary key (source, reader, reader_version, source_version)
) without rowid;
create index lineage_reader on lineage (reader, reader_version);
create trigger job_versions_gone after delete on job_versions
begin
    delete from lineage where reader = old.job and reader_version = old.version;
end;
