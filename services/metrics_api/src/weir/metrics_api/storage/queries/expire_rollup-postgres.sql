-- Delete the oldest roll-up rows of buckets that are no longer kept.
delete from {table} where (id, shard) in (
  select id, shard from {table} where id < ? order by id, shard limit ? for update skip locked
)
