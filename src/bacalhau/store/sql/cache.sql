-- name: cache_put
insert into kept (digest, name, size, used, sha256, boot)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, :boot from json_each(:rows) where true
on conflict (digest) do update set
    name = excluded.name, size = excluded.size, used = excluded.used, sha256 = excluded.sha256, boot = excluded.boot;

-- name: cache_find_hashes
select digest, sha256 from kept where digest in (select value from json_each(:digests)) and sha256 > '';

-- name: cache_put_hashes
update kept set sha256 = found.value from json_each(:hashes) found where found.key = kept.digest;

-- name: cache_touch
update kept set used = :now where digest in (select value from json_each(:digests));

-- name: cache_drop
delete from kept where digest in (select value from json_each(:digests));

-- name: cache_settle
update kept set boot = '' where boot > '';

-- name: cache_drop_unsettled
delete from kept where boot > '' and boot <> :boot;

-- name: cache_has_unsettled
select exists (select 1 from kept where boot > '');

-- name: cache_list_oldest
select digest, name, size, used, sha256 from kept where (used, digest) > (:used, :digest) order by used, digest limit :limit;

-- name: cache_list_sizes
select digest, size from kept;

-- name: cache_measure
select coalesce(sum(size), 0) from kept where name >= :beginning and name < :end;
