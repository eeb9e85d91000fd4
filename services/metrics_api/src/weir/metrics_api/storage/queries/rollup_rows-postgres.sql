-- All shards of cells, which nobody else changes until the transaction ends.
select *
from {table}
where id = any(?::bigint[])
order by id, shard
for update
