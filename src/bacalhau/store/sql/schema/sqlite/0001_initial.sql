-- Bodies are the JSON of the models; columns repeat only what queries, guards and indexes need.
-- Inside the file a job goes by its number: rows of jobs that are busy together then lie together, and a commit writes few pages.

create table jobs (
    number integer primary key,
    id text not null unique,
    name text not null,
    namespace text not null,
    version integer not null,
    revision integer not null,
    is_open integer not null,
    create_time integer not null,
    modify_time integer not null,
    body blob not null,
    unique (name, namespace)
);
create index jobs_open on jobs (create_time) where is_open = 1;
create index jobs_created on jobs (create_time, id);
create index jobs_modified on jobs (modify_time, id);
create index jobs_namespace_created on jobs (namespace, create_time, id);
create index jobs_namespace_modified on jobs (namespace, modify_time, id);

-- `body` is the job as it was when the version began, `final` as it was when the next one began.
create table job_versions (
    job integer not null,
    version integer not null,
    body blob not null,
    final blob,
    primary key (job, version)
) without rowid;

-- Triggers, so that the writing of a job is one statement whether or not a version begins with it.
create trigger jobs_first_version after insert on jobs
begin
    insert into job_versions (job, version, body) values (new.number, new.version, new.body);
end;
create trigger jobs_next_version after update of version on jobs when new.version <> old.version
begin
    update job_versions set final = old.body where job = old.number and version = old.version;
    insert into job_versions (job, version, body) values (new.number, new.version, new.body);
end;

create table executions (
    number integer primary key,
    id text not null unique,
    job integer not null,
    job_version integer not null,
    revision integer not null,
    is_live integer not null,
    create_time integer not null,
    body blob not null
);
create index executions_job on executions (job);
create index executions_live on executions (create_time) where is_live = 1;

-- An empty execution_id is an event of the job itself.
create table history (
    job integer not null,
    seq integer not null,
    job_version integer not null,
    execution_id text not null,
    time integer not null,
    event blob not null,
    primary key (job, seq)
) without rowid;

create table outbox (
    seq integer primary key autoincrement,
    node_id text not null,
    type text not null,
    body blob not null
);
create index outbox_node on outbox (node_id, seq);

create table dead_letters (
    seq integer primary key autoincrement,
    source text not null,
    reason text not null,
    body blob not null,
    time integer not null
);

create table nodes (
    id text not null primary key,
    body blob not null,
    secret text not null
);
