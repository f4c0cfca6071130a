-- How often the node's process ended without an orderly stop while it had the execution.
alter table executions add column interruptions integer not null default 0;
