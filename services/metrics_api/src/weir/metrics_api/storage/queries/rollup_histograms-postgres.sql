-- The histograms of a shard's cells, which nobody else changes until the transaction ends.
select id, latency, ttft, tokens_per_second
from {table}
where shard = ? and id = any(?::bigint[])
order by id
for update
