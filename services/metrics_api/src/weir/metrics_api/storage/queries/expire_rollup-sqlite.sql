-- Delete the oldest roll-up rows of buckets that are no longer kept.
delete from {table} where id in (
  select id from {table} where id < ? order by id limit ?
)
