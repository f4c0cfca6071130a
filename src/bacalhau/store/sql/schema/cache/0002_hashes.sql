-- The hex SHA-256 of a file's bytes, "" where it is not known yet.
alter table kept add column sha256 text not null default '';
