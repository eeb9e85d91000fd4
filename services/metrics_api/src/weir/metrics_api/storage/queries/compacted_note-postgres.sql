-- Note up to where a table of sums has been merged. A clock that was ahead is forgotten so.
insert into compaction (merged, until) values (?, ?)
on conflict (merged) do update set until = excluded.until
