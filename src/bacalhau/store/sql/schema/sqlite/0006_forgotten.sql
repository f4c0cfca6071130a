-- Numbers of jobs that are forgotten and whose history, executions and versions are removed bit by bit. Nothing shows them
-- any more, and no new job gets such a number.
create table forgotten (job integer primary key);
