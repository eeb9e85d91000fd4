-- All shards of snapshots, which nobody else changes until the transaction ends.
select *
from {table}
where (bucket, variant) in (select * from unnest(?::bigint[], ?::text[]))
order by bucket, variant, shard
for update
