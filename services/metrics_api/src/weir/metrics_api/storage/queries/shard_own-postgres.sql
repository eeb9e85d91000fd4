-- Take the first free shard, by a lock that lasts as long as the connection.
select shard
from generate_series(1, 1000) as shard
where pg_try_advisory_lock(?, shard)
limit 1
