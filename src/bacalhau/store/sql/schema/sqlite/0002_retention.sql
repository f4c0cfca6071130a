-- Finished jobs, the oldest end first: what retention looks at.
create index jobs_ended on jobs (modify_time) where is_open = 0;
