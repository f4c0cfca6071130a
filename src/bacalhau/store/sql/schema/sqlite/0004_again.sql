-- Jobs that ran in several versions, and may do so for ever: what retention looks at besides those that are open.
create index jobs_again on jobs (number) where version > 1;
