-- The executions of a job in the order in which pages of them are read; the version tells those of one version apart
-- without a look into the table.
drop index executions_job;
create index executions_page on executions (job, create_time, id, job_version);
