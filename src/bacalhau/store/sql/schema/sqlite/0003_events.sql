-- What happened to all jobs, in the order of time: those who follow everything go on where they stopped.
create index history_time on history (time, job, seq);
