-- Delete snapshots that are no longer kept.
delete from {table} where (bucket, variant, shard) in (
  select bucket, variant, shard from {table} where bucket < ? order by bucket, variant, shard for update skip locked
)
