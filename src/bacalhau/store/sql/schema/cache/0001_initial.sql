-- The files of a node's cache of inputs. `boot` names the run of the machine in which a file was written, "" when it is
-- known to be on the disk.
create table kept (
    digest text not null primary key,
    name text not null,
    size integer not null,
    used integer not null,
    boot text not null
) without rowid;
create index kept_used on kept (used, digest);
create index kept_name on kept (name, size);
create index kept_boot on kept (boot) where boot > '';
