-- What of a shard's snapshots must be merged, and nobody else changes until the transaction ends.
select bucket, variant, latency, status_codes
from {table}
where shard = ? and (bucket, variant) in (select * from unnest(?::bigint[], ?::text[]))
order by bucket, variant
for update
