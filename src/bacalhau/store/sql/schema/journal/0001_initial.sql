-- A tombstone has no body: its execution was cancelled before it was asked for.
create table executions (
    id text not null primary key,
    state text not null,
    create_time integer not null,
    modify_time integer not null,
    body blob
);
create index executions_state on executions (state);

create table reports (
    seq integer primary key autoincrement,
    execution_id text not null,
    type text not null,
    body blob not null
);
create index reports_execution on reports (execution_id);
