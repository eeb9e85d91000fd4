-- Since when no request refers to a string; null while one may.
alter table names add column unused_since timestamptz;
